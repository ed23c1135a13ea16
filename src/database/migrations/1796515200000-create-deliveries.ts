import { type MigrationInterface, type QueryRunner, Table } from 'typeorm';

import { id, integer, largeText, text, time } from './columns.js';

/** Messages to single people, and where WeChat's results meet them. */
export class CreateDeliveries1796515200000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'delivery',
        columns: [
          id('id', 36),
          text('appid', 32),
          text('kind', 32),
          text('openid', 64, true),
          text('user_id', 128, true),
          text('template_id', 64, true),
          text('status', 16),
          largeText(runner, 'content', true),
          integer('parts'),
          integer('parts_sent'),
          integer('attempts'),
          integer('epoch'),
          time('lease_until', true),
          time('first_sent_at', true),
          text('msgid', 32, true),
          largeText(runner, 'failure', true),
          time('created_at'),
          time('accepted_at', true),
          time('result_due_at', true),
          time('finished_at', true),
          text('campaign_id', 36, true),
        ],
        indices: [
          { name: 'idx_delivery_appid_created_at', columnNames: ['appid', 'created_at', 'id'] },
          { name: 'idx_delivery_appid_openid', columnNames: ['appid', 'openid', 'created_at'] },
          { name: 'idx_delivery_appid_msgid', columnNames: ['appid', 'msgid'] },
          { name: 'idx_delivery_status_lease_until', columnNames: ['status', 'lease_until'] },
          { name: 'idx_delivery_result_due_at', columnNames: ['result_due_at'] },
          { name: 'idx_delivery_created_at', columnNames: ['created_at'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'message_result',
        columns: [
          id('appid', 32),
          id('msgid', 32),
          text('delivery_id', 36, true),
          text('kind', 32),
          text('outcome', 16, true),
          largeText(runner, 'failure', true),
          text('openid', 64, true),
          time('created_at'),
        ],
        indices: [
          { name: 'idx_message_result_appid_openid', columnNames: ['appid', 'openid'] },
          { name: 'idx_message_result_created_at', columnNames: ['created_at'] },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('message_result');
    await runner.dropTable('delivery');
  }
}
