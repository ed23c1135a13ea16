// How a benchmark tells what it has measured: tables in Markdown, goals and whether they are met.
import { availableParallelism, cpus } from 'node:os';

import { sqliteVersion } from './databases.mjs';

/** Aligned as the formatter of this repository aligns tables. @param sides `r` for each column of figures */
export function table(head, sides, rows) {
  const widths = head.map((_, n) =>
    Math.max(3, ...[head, ...rows].map((row) => [...row[n]].length)),
  );
  const pad = (text, n) => {
    const space = ' '.repeat(widths[n] - [...text].length);
    return sides[n] === 'r' ? space + text : text + space;
  };
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = widths.map((width, n) =>
    sides[n] === 'r' ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width),
  );
  return [line(head.map(pad)), line(rule), ...rows.map((row) => line(row.map(pad)))].join('\n');
}

export function grouped(count) {
  return Math.round(count).toLocaleString('en-US');
}

/** A ratio that must be reached. */
export function atLeast(what, measured, { must, aim }) {
  return {
    what,
    // Cut, not rounded: what is missed must not look as if it were met.
    measured: (Math.floor(measured * 100) / 100).toFixed(2),
    must: `≥ ${must.toFixed(2)}`,
    aim: aim === undefined ? '' : `≥ ${aim.toFixed(2)}`,
    isMet: measured >= must,
  };
}

export function goalTable(verdicts) {
  const rows = verdicts.map(({ what, measured, must, aim, isMet }) => [
    what,
    `${measured}${isMet ? '' : ' ✗'}`,
    must,
    aim,
  ]);
  return table(['goal', 'measured', 'must', 'aim'], '-rrr', rows);
}

/** Names what was missed on stderr. @returns the exit code: 1 when something was */
export function exitCodeOf(verdicts) {
  const missed = verdicts.filter(({ isMet, isTold }) => !isMet && !isTold);
  for (const { what, measured, must } of missed)
    console.error(`✗ ${what}: ${measured}, must be ${must}`);
  return missed.length > 0 ? 1 : 0;
}

/** What was measured on, and when. @param mysql null when only SQLite was */
export function machine(mysql) {
  return [
    `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown processor'}`,
    `Node ${process.version}`,
    ...(mysql ? [mysql.version.replace(/^(\S+?)-MariaDB.*/, 'MariaDB $1')] : []),
    `SQLite ${sqliteVersion()}`,
    new Date().toISOString().slice(0, 10),
  ].join(', ');
}
