import { type MigrationInterface, type QueryRunner, Table, TableColumn } from 'typeorm';

import { id, integer, largeText, text, time } from './columns.js';

/** What every later feature stands on: the ledger's answers and leases, work, and the outbox. */
export class CreateSpine1795564800000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.addColumns('push', [
      new TableColumn(largeText(runner, 'answer', true)),
      new TableColumn(time('lease_until', true)),
    ]);
    await runner.addColumn('component_ticket', new TableColumn(time('late_reported_at', true)));
    await runner.createTable(
      new Table({
        name: 'work',
        columns: [
          id('id', 36),
          text('kind', 64),
          text('dedup_key', 160, true),
          text('appid', 32, true),
          { name: 'payload', type: 'text' },
          integer('priority'),
          text('state', 16),
          time('run_at'),
          integer('attempts'),
          integer('epoch'),
          time('lease_until', true),
          text('failure', 512, true),
          time('created_at'),
          time('updated_at'),
        ],
        indices: [
          {
            name: 'uq_work_kind_dedup_key',
            columnNames: ['kind', 'dedup_key'],
            isUnique: true,
          },
          { name: 'idx_work_state_run_at', columnNames: ['state', 'run_at'] },
          { name: 'idx_work_appid', columnNames: ['appid'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'event',
        columns: [
          id('id', 36),
          { name: 'position', type: 'bigint', isNullable: true },
          text('type', 64),
          integer('version'),
          text('subject_key', 160),
          text('tenant_id', 64, true),
          text('appid', 32, true),
          { name: 'payload', type: 'text' },
          time('occurred_at'),
          time('emitted_at'),
        ],
        indices: [
          { name: 'uq_event_position', columnNames: ['position'], isUnique: true },
          { name: 'idx_event_tenant_position', columnNames: ['tenant_id', 'position'] },
          { name: 'idx_event_appid', columnNames: ['appid'] },
          { name: 'idx_event_emitted_at', columnNames: ['emitted_at'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'event_position',
        columns: [
          id('name', 16),
          { name: 'last', type: 'bigint' },
          { name: 'trimmed_through', type: 'bigint' },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['event_position', 'event', 'work']) await runner.dropTable(table);
    await runner.dropColumn('component_ticket', 'late_reported_at');
    await runner.dropColumns('push', ['lease_until', 'answer']);
  }
}
