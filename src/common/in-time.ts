/**
 * Waits for `work`, but not longer than `ms`.
 *
 * The work itself goes on; what it comes to later is not looked at.
 *
 * @throws what `tooLate` makes, when the time is up
 */
export async function inTime<T>(work: Promise<T>, ms: number, tooLate: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(tooLate()), ms);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}
