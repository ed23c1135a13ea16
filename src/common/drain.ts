import { Injectable } from '@nestjs/common';

import { Env } from '../../config/env.js';

/** So long a load balancer may take to notice that this process is no longer ready. */
const NOTICE_MS = 2_000;

/**
 * The time between being told to stop and closing the door: what still comes in is answered, but readiness says no,
 * so that a rolling restart loses no request.
 */
@Injectable()
export class Drain {
  hasBegun = false;

  constructor(private readonly env: Env) {}

  /** Resolves when the door may be closed. */
  async run(): Promise<void> {
    this.hasBegun = true;
    // The only process on its SQLite file has nobody to leave its callers to: waiting would help no one.
    if (this.env.database.kind === 'sqlite') return;
    await new Promise((resolve) => setTimeout(resolve, NOTICE_MS));
  }
}
