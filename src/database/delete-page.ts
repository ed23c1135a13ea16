import { type EntityTarget, type FindOptionsSelect, type FindOptionsWhere, In } from 'typeorm';

import type { Tx } from './database.js';

/**
 * Deletes up to `limit` of the rows that match: a statement that deletes all of a large table's would hold its locks, or
 * SQLite's only writer, for too long.
 *
 * @returns how many
 */
export async function deletePage<T extends { id: string }>(
  tx: Tx,
  entity: EntityTarget<T>,
  where: FindOptionsWhere<T> | FindOptionsWhere<T>[],
  limit: number,
): Promise<number> {
  const rows = await tx.find(entity, {
    select: { id: true } as FindOptionsSelect<T>,
    where,
    take: limit,
  });
  if (rows.length === 0) return 0;
  await tx.delete(entity, { id: In(rows.map(({ id }) => id)) } as FindOptionsWhere<T>);
  return rows.length;
}
