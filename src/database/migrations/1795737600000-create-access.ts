import { type MigrationInterface, type QueryRunner, Table, TableColumn } from 'typeorm';

import { id, integer, largeText, text, time } from './columns.js';

/** What an owner can say of keys, and the log of who did what. */
export class CreateAccess1795737600000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.addColumns('api_key', [
      new TableColumn(text('prefix', 16, true)),
      new TableColumn(time('expires_at', true)),
      new TableColumn(time('last_used_at', true)),
    ]);
    await runner.createTable(
      new Table({
        name: 'audit_entry',
        columns: [
          id('id', 36),
          text('tenant_id', 64),
          text('actor_type', 16),
          text('actor_id', 64, true),
          text('actor_name', 128),
          text('action', 64),
          text('target', 160),
          text('outcome', 16),
          largeText(runner, 'detail'),
          text('ip', 64, true),
          text('request_id', 128, true),
          time('at'),
          integer('sequence', true),
          text('hash', 64, true),
        ],
        indices: [
          { name: 'idx_audit_entry_tenant_id', columnNames: ['tenant_id', 'id'] },
          { name: 'idx_audit_entry_target', columnNames: ['target'] },
          { name: 'idx_audit_entry_chain', columnNames: ['tenant_id', 'sequence'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'audit_chain',
        columns: [id('tenant_id', 64), integer('last_sequence'), text('last_hash', 64)],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('audit_chain');
    await runner.dropTable('audit_entry');
    await runner.dropColumns('api_key', ['last_used_at', 'expires_at', 'prefix']);
  }
}
