/** WeChat counts in Chinese time, which has had no summer time since 1991. */
export const TIME_ZONE = 'Asia/Shanghai';
const OFFSET_MS = 8 * 3_600_000;
const DAY_MS = 86_400_000;

/** `2026-11`. */
export function shanghaiMonth(at: Date): string {
  return new Date(at.getTime() + OFFSET_MS).toISOString().slice(0, 7);
}

/** `2026-11-25`. */
export function shanghaiDay(at: Date): string {
  return new Date(at.getTime() + OFFSET_MS).toISOString().slice(0, 10);
}

/** The first moment of a day such as `2026-11-25`. */
export function startOfDay(day: string): Date {
  return new Date(new Date(`${day}T00:00:00Z`).getTime() - OFFSET_MS);
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

/** What a clock on a wall in Shanghai shows: `2026-11-25`, `18:05`, and the minutes since its midnight. */
export function shanghaiClock(at: Date): { date: string; time: string; minute: number } {
  const local = new Date(at.getTime() + OFFSET_MS).toISOString();
  const time = local.slice(11, 16);
  return { date: local.slice(0, 10), time, minute: minuteOf(time) };
}

/** The minutes of `18:05` since midnight. */
export function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5));
}
