import { type MigrationInterface, type QueryRunner, Table } from 'typeorm';

import { id, integer, largeText, text, time } from './columns.js';

/** Rules that answer by themselves, and what a push was answered by. */
export class CreateAutoReplies1796601600000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // Written out: TypeORM would copy the whole table on SQLite, and neither database has to touch a row.
    await runner.query('ALTER TABLE push ADD COLUMN answered_by varchar(64)');
    await runner.createTable(
      new Table({
        name: 'auto_reply',
        columns: [
          id('id', 36),
          text('appid', 32),
          text('name', 64),
          largeText(runner, 'answers_to'),
          largeText(runner, 'replies'),
          text('mode', 16),
          integer('priority'),
          integer('enabled'),
          time('active_from', true),
          time('active_to', true),
          text('daily_window', 64, true),
          text('quiet_hours', 64, true),
          text('frequency_cap', 64, true),
          integer('version'),
          time('renew_media_at', true),
          time('created_at'),
          time('updated_at'),
        ],
        indices: [
          { name: 'idx_auto_reply_appid_created_at', columnNames: ['appid', 'created_at', 'id'] },
          { name: 'idx_auto_reply_renew_media_at', columnNames: ['renew_media_at'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'auto_reply_revision',
        columns: [id('appid', 32), text('revision', 36)],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'auto_reply_stat',
        columns: [
          id('rule_id', 36),
          text('appid', 32),
          integer('hits'),
          integer('people'),
          time('last_hit_at'),
        ],
        indices: [{ name: 'idx_auto_reply_stat_appid', columnNames: ['appid'] }],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'auto_reply_person',
        columns: [
          id('rule_id', 36),
          id('openid', 64),
          text('appid', 32),
          integer('hits'),
          time('counted_from'),
          integer('counted'),
        ],
        indices: [{ name: 'idx_auto_reply_person_openid', columnNames: ['appid', 'openid'] }],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('auto_reply_person');
    await runner.dropTable('auto_reply_stat');
    await runner.dropTable('auto_reply_revision');
    await runner.dropTable('auto_reply');
    await runner.query('ALTER TABLE push DROP COLUMN answered_by');
  }
}
