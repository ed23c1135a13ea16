/** WeChat counts in Chinese time, which has had no summer time since 1991. */
export const TIME_ZONE = 'Asia/Shanghai';
const OFFSET_MS = 8 * 3_600_000;
const DAY_MS = 86_400_000;

/** `2026-11`. */
export function shanghaiMonth(at: Date): string {
  return new Date(at.getTime() + OFFSET_MS).toISOString().slice(0, 7);
}

/** The first moment of a month such as `2026-11`. */
export function startOfMonth(month: string): Date {
  return new Date(new Date(`${month}-01T00:00:00Z`).getTime() - OFFSET_MS);
}

/** The next midnight in Shanghai. */
export function nextMidnight(at: Date): Date {
  const local = at.getTime() + OFFSET_MS;
  return new Date(local - (local % DAY_MS) + DAY_MS - OFFSET_MS);
}
