import { Injectable } from '@nestjs/common';

/** So long a load balancer may take to notice that this process is no longer ready. */
const NOTICE_MS = 2_000;

/**
 * The time between being told to stop and closing the door: what still comes in is answered, but readiness says no,
 * so that a rolling restart loses no request.
 */
@Injectable()
export class Drain {
  hasBegun = false;

  /** Resolves when the door may be closed. */
  async run(): Promise<void> {
    this.hasBegun = true;
    await new Promise((resolve) => setTimeout(resolve, NOTICE_MS));
  }
}
