import { type MigrationInterface, type QueryRunner, Table, TableColumn } from 'typeorm';

import { id, integer, largeText, text, time } from './columns.js';

/** The people of accounts: who follows, who may be written to, and what they have written, in events too. */
export class CreatePeople1796342400000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'person',
        columns: [
          id('appid', 32),
          id('openid', 64),
          integer('is_follower', true),
          time('follow_known_at', true),
          time('first_followed_at', true),
          time('followed_at', true),
          text('follow_scene', 64, true),
          time('unfollowed_at', true),
          integer('times_followed'),
          time('last_interaction_at', true),
          time('last_message_at', true),
          time('blocked_at', true),
          time('blacklisted_at', true),
          time('unknown_at', true),
          time('created_at'),
        ],
        indices: [
          { name: 'idx_person_appid_created_at', columnNames: ['appid', 'created_at', 'openid'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'reply_window',
        columns: [
          id('appid', 32),
          id('openid', 64),
          id('activity', 16),
          time('opened_at'),
          time('open_until'),
          integer('allowed'),
          integer('used'),
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'subscription_grant',
        columns: [
          id('appid', 32),
          id('openid', 64),
          id('template_id', 64),
          integer('balance'),
          integer('is_long_term'),
          time('changed_at', true),
          time('rejected_at', true),
          time('emptied_at', true),
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'incoming_message',
        columns: [
          id('id', 36),
          text('appid', 32),
          text('openid', 64),
          text('dedup_key', 64),
          text('message_type', 32),
          text('event', 64, true),
          text('message_id', 32, true),
          largeText(runner, 'content'),
          time('occurred_at'),
          time('received_at'),
        ],
        indices: [
          {
            name: 'uq_incoming_message_dedup_key',
            columnNames: ['appid', 'dedup_key'],
            isUnique: true,
          },
          { name: 'idx_incoming_message_appid', columnNames: ['appid', 'id'] },
          { name: 'idx_incoming_message_openid', columnNames: ['appid', 'openid', 'id'] },
        ],
      }),
    );
    await runner.addColumn('event', new TableColumn(largeText(runner, 'sealed', true)));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropColumn('event', 'sealed');
    await runner.dropTable('incoming_message');
    await runner.dropTable('subscription_grant');
    await runner.dropTable('reply_window');
    await runner.dropTable('person');
  }
}
