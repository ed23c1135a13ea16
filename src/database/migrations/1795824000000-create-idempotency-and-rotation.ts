import { type MigrationInterface, type QueryRunner, Table } from 'typeorm';

import { id, integer, largeText, text, time } from './columns.js';

/** Answers kept by their Idempotency-Key, and how far a change of keys has come. */
export class CreateIdempotencyAndRotation1795824000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'idempotent_answer',
        columns: [
          id('id', 64),
          text('tenant_id', 64),
          text('fingerprint', 64),
          integer('epoch'),
          time('lease_until', true),
          largeText(runner, 'answer', true),
          time('created_at'),
          time('expires_at'),
        ],
        indices: [{ name: 'idx_idempotent_answer_expires_at', columnNames: ['expires_at'] }],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'key_rotation',
        columns: [
          id('id', 36),
          text('key_id', 32),
          text('state', 16),
          text('running', 8, true),
          { name: 'progress', type: 'text' },
          { name: 'keys_in_use', type: 'text' },
          time('started_at'),
          time('finished_at', true),
        ],
        indices: [{ name: 'uq_key_rotation_running', columnNames: ['running'], isUnique: true }],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('key_rotation');
    await runner.dropTable('idempotent_answer');
  }
}
