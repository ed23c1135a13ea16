import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What of a delivery was refused for its own sake, while the rest went out. */
export class AddPassedOver1796731200000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const type = runner.dataSource.options.type === 'better-sqlite3' ? 'text' : 'mediumtext';
    // Written out: TypeORM would copy the whole table on SQLite, and neither database has to touch a row.
    await runner.query(`ALTER TABLE delivery ADD COLUMN passed_over ${type}`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE delivery DROP COLUMN passed_over');
  }
}
