import { minuteOf } from '../accounts/quota/shanghai-time.js';

/** A stretch of every day by the clock in Shanghai: from `HH:mm`, included, to `HH:mm`, not included; over midnight too. */
export interface DailySpan {
  from: string;
  to: string;
}

/** When a rule answers. */
export interface Hours {
  activeFrom: Date | null;
  /** Not included. */
  activeTo: Date | null;
  dailyWindow: DailySpan | null;
  /** When it does not answer. */
  quietHours: DailySpan | null;
}

const MINUTES = Array.from({ length: 1_440 }, (_unused, minute) => minute);

/** Whether a moment is among them. @param minute of the day in Shanghai at that moment */
export function isOpen(hours: Hours, at: Date, minute: number): boolean {
  const { activeFrom, activeTo } = hours;
  return (
    (activeFrom === null || at >= activeFrom) &&
    (activeTo === null || at < activeTo) &&
    isOpenDaily(hours, minute)
  );
}

/** Whether they never come. */
export function isNever(hours: Hours): boolean {
  return isDaily(hours) && !MINUTES.some((minute) => isOpenDaily(hours, minute));
}

/** Whether the one are open at each moment at which the other are. */
export function covers(one: Hours, other: Hours): boolean {
  return (
    beginOf(one) <= beginOf(other) &&
    endOf(one) >= endOf(other) &&
    (!isDaily(one) ||
      isSameDaily(one, other) ||
      MINUTES.every((minute) => isOpenDaily(one, minute) || !isOpenDaily(other, minute)))
  );
}

/** Whether there is a moment at which both are open. */
export function overlap(one: Hours, other: Hours): boolean {
  return (
    beginOf(one) < endOf(other) &&
    beginOf(other) < endOf(one) &&
    (!isDaily(one) ||
      !isDaily(other) ||
      MINUTES.some((minute) => isOpenDaily(one, minute) && isOpenDaily(other, minute)))
  );
}

function isOpenDaily({ dailyWindow, quietHours }: Hours, minute: number): boolean {
  return (
    (dailyWindow === null || isWithin(dailyWindow, minute)) &&
    (quietHours === null || !isWithin(quietHours, minute))
  );
}

function isWithin({ from, to }: DailySpan, minute: number): boolean {
  const [first, end] = [minuteOf(from), minuteOf(to)];
  return first < end ? minute >= first && minute < end : minute >= first || minute < end;
}

/** Whether they are not the whole day. */
function isDaily({ dailyWindow, quietHours }: Hours): boolean {
  return dailyWindow !== null || quietHours !== null;
}

function isSameDaily(one: Hours, other: Hours): boolean {
  const daily = ({ dailyWindow, quietHours }: Hours): string =>
    JSON.stringify([dailyWindow, quietHours]);
  return daily(one) === daily(other);
}

function beginOf({ activeFrom }: Hours): number {
  return activeFrom?.getTime() ?? -Infinity;
}

function endOf({ activeTo }: Hours): number {
  return activeTo?.getTime() ?? Infinity;
}
