import { type MigrationInterface, type QueryRunner, Table } from 'typeorm';

import { id, integer, largeText, text, time } from './columns.js';

/** Where events are sent, and what became of each. */
export class CreateWebhooks1796256000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'webhook',
        columns: [
          id('id', 36),
          text('tenant_id', 64),
          text('url', 2048),
          { name: 'event_types', type: 'text' },
          integer('enabled'),
          text('disabled_reason', 32, true),
          largeText(runner, 'secret'),
          largeText(runner, 'previous_secret', true),
          time('previous_secret_until', true),
          { name: 'position', type: 'bigint' },
          time('failing_since', true),
          time('succeeded_at', true),
          time('created_at'),
          time('updated_at'),
        ],
        indices: [{ name: 'idx_webhook_tenant_id', columnNames: ['tenant_id'] }],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'webhook_delivery',
        columns: [
          id('id', 36),
          text('webhook_id', 36),
          text('event_id', 36),
          text('event_type', 64),
          text('appid', 32, true),
          text('subject_key', 160),
          integer('shard'),
          integer('sequence'),
          text('status', 16),
          integer('attempts'),
          time('next_try_at'),
          integer('last_status', true),
          text('last_step', 32, true),
          time('created_at'),
          time('finished_at', true),
        ],
        indices: [
          {
            name: 'uq_webhook_delivery_event',
            columnNames: ['webhook_id', 'event_id'],
            isUnique: true,
          },
          {
            name: 'idx_webhook_delivery_waiting',
            columnNames: ['webhook_id', 'shard', 'status', 'id'],
          },
          { name: 'idx_webhook_delivery_appid', columnNames: ['appid'] },
          { name: 'idx_webhook_delivery_created_at', columnNames: ['created_at'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'webhook_sequence',
        columns: [
          id('webhook_id', 36),
          id('subject_key', 160),
          text('appid', 32, true),
          integer('last'),
        ],
        indices: [{ name: 'idx_webhook_sequence_appid', columnNames: ['appid'] }],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['webhook_sequence', 'webhook_delivery', 'webhook'])
      await runner.dropTable(table);
  }
}
