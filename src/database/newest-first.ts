import { Brackets, type ObjectLiteral, type SelectQueryBuilder } from 'typeorm';

import type { Position } from '../common/paging.js';

/**
 * A page of rows, the newest first; one more than `limit`, to tell whether another page follows.
 *
 * @param query what is asked for, without an order
 * @param after the last row of the page before; null for the first page
 * @param by the properties that say how new a row is, and which of one moment comes first
 */
export function newestFirst<E extends ObjectLiteral>(
  query: SelectQueryBuilder<E>,
  limit: number,
  after: Position | null,
  by: { time: keyof E & string; id: keyof E & string },
): Promise<E[]> {
  const [time, id] = [`${query.alias}.${by.time}`, `${query.alias}.${by.id}`];
  if (after)
    query.andWhere(
      new Brackets((where) =>
        where
          .where(`${time} < :afterTime`, { afterTime: after.at })
          .orWhere(`${time} = :afterTime AND ${id} < :afterId`, {
            afterTime: after.at,
            afterId: after.id,
          }),
      ),
    );
  return query
    .orderBy(time, 'DESC')
    .addOrderBy(id, 'DESC')
    .take(limit + 1)
    .getMany();
}
