import { Injectable } from '@nestjs/common';
import { LessThan, LessThanOrEqual } from 'typeorm';

import { Database, type Tx } from '../database/database.js';
import { Lease } from './lease.entity.js';

/** Proof that a lease is held; void once its epoch has passed. */
export interface HeldLease {
  name: string;
  owner: string;
  epoch: number;
}

/** Leases by compare-and-set on the database's clock. No connection is held while one is held. */
@Injectable()
export class LeasesRepository {
  constructor(private readonly db: Database) {}

  /**
   * Takes the lease for the present period of `periodMs`, unless somebody holds it or has done this period's work.
   *
   * @param leaseMs how long it is held without renewal
   */
  take(name: string, owner: string, periodMs: number, leaseMs: number): Promise<HeldLease | null> {
    return this.db.write(async (tx) => {
      const now = await this.db.now(tx);
      const slot = new Date(Math.floor(now.getTime() / periodMs) * periodMs);
      const never = new Date(0);
      await this.#lock(tx, { name, owner, epoch: 0, heldUntil: never, slot: never });
      const { epoch } = await tx.findOneByOrFail(Lease, { name });
      const { affected } = await tx.update(
        Lease,
        { name, epoch, slot: LessThan(slot), heldUntil: LessThanOrEqual(now) },
        { owner, epoch: epoch + 1, slot, heldUntil: later(now, leaseMs) },
      );
      return affected === 1 ? { name, owner, epoch: epoch + 1 } : null;
    });
  }

  /** Takes a lease that is not bound to a period, unless somebody holds it. */
  takeTurn(name: string, owner: string, leaseMs: number): Promise<HeldLease | null> {
    return this.db.write(async (tx) => {
      const now = await this.db.now(tx);
      const never = new Date(0);
      await this.#lock(tx, { name, owner, epoch: 0, heldUntil: never, slot: never });
      const { affected } = await tx
        .createQueryBuilder()
        .update(Lease)
        .set({ owner, epoch: () => 'epoch + 1', heldUntil: later(now, leaseMs) })
        .where({ name, heldUntil: LessThanOrEqual(now) })
        .execute();
      if (affected !== 1) return null;
      const { epoch } = await tx.findOneByOrFail(Lease, { name });
      return { name, owner, epoch };
    });
  }

  /** Gives back a lease that nobody will want again. */
  async remove({ name, owner, epoch }: HeldLease): Promise<void> {
    await this.db.write((tx) => tx.delete(Lease, { name, owner, epoch }));
  }

  /** @returns false when the lease has passed to somebody else */
  renew(held: HeldLease, leaseMs: number): Promise<boolean> {
    return this.#hold(held, (now) => later(now, leaseMs));
  }

  /** Gives the lease back before its time. */
  async release(held: HeldLease): Promise<void> {
    await this.#hold(held, (now) => now);
  }

  /** Written over with what stands there, and so locked at once: many that only share it would wait for each other. */
  async #lock(tx: Tx, free: Lease): Promise<void> {
    const insert = tx.createQueryBuilder().insert().into(Lease).values(free);
    await insert.orUpdate(['name'], ['name']).execute();
  }

  #hold({ name, owner, epoch }: HeldLease, until: (now: Date) => Date): Promise<boolean> {
    return this.db.write(async (tx: Tx) => {
      const heldUntil = until(await this.db.now(tx));
      const { affected } = await tx.update(Lease, { name, owner, epoch }, { heldUntil });
      return affected === 1;
    });
  }
}

function later(from: Date, ms: number): Date {
  return new Date(from.getTime() + ms);
}
