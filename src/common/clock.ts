import { Injectable } from '@nestjs/common';

/** The process's time. Injected everywhere, so that a test can move it. Leases use the database's clock. */
@Injectable()
export class Clock {
  now(): Date {
    return new Date();
  }
}
