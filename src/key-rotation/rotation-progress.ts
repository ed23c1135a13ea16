import { isSame, type SealedColumn } from '../database/sealed-columns.js';
import type { ColumnProgress, RotationProgress } from './key-rotation.entity.js';

/** What a page of a column came to. */
export interface PageResult {
  looked: number;
  resealed: number;
  unreadable: number;
  cursor: string;
  isLast: boolean;
}

export function startOf(
  { table, column }: Pick<SealedColumn, 'table' | 'column'>,
  total: number,
): ColumnProgress {
  return {
    table,
    column,
    total,
    done: 0,
    resealed: 0,
    unreadable: 0,
    cursor: '',
    isWalked: false,
  };
}

/** A column that was not there when the change began is as one that has not been begun. */
export function columnOf({ columns }: RotationProgress, column: SealedColumn): ColumnProgress {
  return columns.find((one) => isSame(one, column)) ?? startOf(column, 0);
}

export function withPage(
  progress: RotationProgress,
  column: SealedColumn,
  page: PageResult,
): RotationProgress {
  const others = progress.columns.filter((one) => !isSame(one, column));
  const place = progress.columns.findIndex((one) => isSame(one, column));
  const changed = addPage(columnOf(progress, column), page);
  return {
    ...progress,
    columns: others.toSpliced(place < 0 ? others.length : place, 0, changed),
  };
}

function addPage(before: ColumnProgress, page: PageResult): ColumnProgress {
  const done = before.done + page.looked;
  return {
    ...before,
    done,
    // Rows come and go while it is walked.
    total: page.isLast ? done : Math.max(before.total, done),
    resealed: before.resealed + page.resealed,
    unreadable: before.unreadable + page.unreadable,
    cursor: page.cursor,
    isWalked: page.isLast,
  };
}

/** Nothing but `except` has been met under an older key in this pass. */
export function isClean({ columns }: RotationProgress, except: SealedColumn): boolean {
  return columns.every((one) => isSame(one, except) || one.resealed === 0);
}

export function nextPass({ pass, columns }: RotationProgress): RotationProgress {
  return { pass: pass + 1, columns: columns.map((one) => startOf(one, one.total)) };
}
