import { ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';

import { AppError } from './app-error.js';

/** The query of every list. */
export class PageQueryDto {
  @ApiPropertyOptional({
    description: '每页条数 / Items a page',
    minimum: 1,
    maximum: 200,
    default: 50,
    example: 50,
  })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(200)
  limit: number = 50;

  @ApiPropertyOptional({ description: '上一页返回的 nextCursor / `nextCursor` of the page before' })
  @IsOptional()
  @IsString()
  @MaxLength(512)
  cursor?: string;
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

/** Where a page ended in a list that is ordered by a time, newest first, and by id. */
export interface Position {
  at: Date;
  id: string;
}

/** The cursor of the item that a page ends with. */
export function toCursor({ at, id }: Position): string {
  return Buffer.from(`${at.getTime()}|${id}`).toString('base64url');
}

/** @throws AppError `invalid_query` for a cursor that we did not make */
export function fromCursor(cursor: string): Position {
  const [, at, id] = /^(\d{1,15})\|(.+)$/s.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (!at || !id) {
    throw new AppError('invalid_query', [
      {
        field: 'cursor',
        code: 'invalid_cursor',
        detail: {
          zh: '请使用上一页返回的 nextCursor；从头开始则不要传。',
          en: 'Use `nextCursor` of the page before, or leave it out to begin anew.',
        },
      },
    ]);
  }
  return { at: new Date(Number(at)), id };
}

/**
 * Cuts a page out of rows that were read one more than asked for.
 *
 * @param rows up to `limit + 1` of them
 */
export function toPage<R, T>(
  rows: R[],
  limit: number,
  position: (row: R) => Position,
  toItem: (row: R) => T,
): Page<T> {
  const kept = rows.slice(0, limit);
  const last = kept.at(-1);
  return {
    items: kept.map(toItem),
    nextCursor: rows.length > limit && last ? toCursor(position(last)) : null,
  };
}
