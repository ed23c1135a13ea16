/** Somebody else has taken over what this process was doing: nothing of it may be written any more. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';

  constructor(what: string) {
    super(`The lease of ${what} has passed to another.`);
  }
}
