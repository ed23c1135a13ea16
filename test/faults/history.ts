import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';

/** One try of a push, as the sender saw it. */
export interface Attempt {
  /** Null when the connection broke or nobody answered in time. */
  status: number | null;
  /** What was answered, or why nothing was. */
  body: string;
  ms: number;
}

/** Everything that happened to one push from outside. */
export interface PushHistory {
  /** What the ledger should know it by. */
  dedupKey: string;
  account: string;
  /** The appid whose authorization it tells of; null for a message. */
  authorizes: string | null;
  /** The number of the message that it is the receipt of; null for what is no receipt. */
  receipt: string | null;
  attempts: Attempt[];
}

export const wasAcknowledged = ({ attempts }: PushHistory): boolean =>
  attempts.some(({ status }) => status === 200);

/** What is kept of a document without a MsgId. */
export const contentKey = (xml: string): string => createHash('sha256').update(xml).digest('hex');

/** The value below which so many of a hundred stand. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0;
}

/** Whether the long runs were asked for (`npm run test:faults`). */
// oxlint-disable-next-line node/no-process-env -- how test/run.mjs tells a run its length
export const isLong = process.env['FAULTS'] === 'long';

/** The seed of this run; FAULT_SEED repeats an earlier one. */
// oxlint-disable-next-line node/no-process-env -- given by the person who repeats a run
export const seedOfRun = process.env['FAULT_SEED'];

/** Says how a run went: on the terminal, and in the report of a long one. */
export function report(scenario: string, seed: string, figures: Record<string, unknown>): void {
  const words = Object.entries(figures)
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(', ');
  process.stdout.write(`fault run: ${scenario}, seed ${seed}: ${words}\n`);
  // oxlint-disable-next-line node/no-process-env -- where test/run.mjs collects the report
  const file = process.env['FAULT_REPORT'];
  if (file) appendFileSync(file, `| ${scenario} | \`${seed}\` | ${words} |\n`);
}
