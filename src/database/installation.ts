import { randomUUID } from 'node:crypto';

import type { Database } from './database.js';
import { SystemValue } from './system-value.entity.js';

const NAME = 'installation';

/** What tells this installation from every other one: made once, the same for all processes on the database. */
export async function findInstallation(db: Database): Promise<string> {
  await db.write((tx) =>
    tx
      .createQueryBuilder()
      .insert()
      .into(SystemValue)
      .values({ name: NAME, value: randomUUID() })
      .orIgnore()
      .execute(),
  );
  // By a write's own connection: another process may have been first a moment ago.
  const { value } = await db.write((tx) => tx.findOneByOrFail(SystemValue, { name: NAME }));
  return value;
}
