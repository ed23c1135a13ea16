import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which account a kept answer is of, so that it goes with it. */
export class AddAppidToIdempotency1796774400000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // Written out: TypeORM would copy the whole table on SQLite. What is there, and what the version before adds, has none.
    await runner.query('ALTER TABLE idempotent_answer ADD COLUMN appid varchar(32)');
    await runner.query('CREATE INDEX idx_idempotent_answer_appid ON idempotent_answer (appid)');
  }

  async down(runner: QueryRunner): Promise<void> {
    const on = runner.dataSource.options.type === 'better-sqlite3' ? '' : ' ON idempotent_answer';
    await runner.query(`DROP INDEX idx_idempotent_answer_appid${on}`);
    await runner.query('ALTER TABLE idempotent_answer DROP COLUMN appid');
  }
}
