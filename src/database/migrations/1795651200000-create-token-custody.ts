import { type MigrationInterface, type QueryRunner, Table, TableColumn } from 'typeorm';

import { id, integer, largeText, text, time } from './columns.js';

/** Leases, epochs and failures of tokens, and every refresh token that ever came. */
export class CreateTokenCustody1795651200000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.addColumns('token', [
      new TableColumn({ ...integer('authorization_epoch'), default: '0' }),
      new TableColumn({ ...integer('lease_epoch'), default: '0' }),
      new TableColumn(time('lease_until', true)),
      new TableColumn({ ...text('state', 32), default: "'ok'" }),
      new TableColumn({ ...integer('fail_count'), default: '0' }),
      new TableColumn(time('next_try_at', true)),
    ]);
    await runner.createTable(
      new Table({
        name: 'token_history',
        columns: [
          id('id', 36),
          text('appid', 32),
          text('fingerprint', 64),
          largeText(runner, 'refresh_token'),
          integer('authorization_epoch'),
          text('source', 16),
          time('received_at'),
        ],
        indices: [
          {
            name: 'uq_token_history_appid_fingerprint',
            columnNames: ['appid', 'fingerprint'],
            isUnique: true,
          },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('token_history');
    await runner.dropColumns('token', [
      'next_try_at',
      'fail_count',
      'state',
      'lease_until',
      'lease_epoch',
      'authorization_epoch',
    ]);
  }
}
