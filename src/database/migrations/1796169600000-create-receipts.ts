import { type MigrationInterface, type QueryRunner, Table } from 'typeorm';

import { id, largeText, text, time } from './columns.js';

/** Where mini-programs push to, and the receipts that come there. */
export class CreateReceipts1796169600000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'receipt_config',
        columns: [
          id('appid', 32),
          text('receipt_key', 43),
          text('source', 16),
          text('encryption_mode', 16),
          largeText(runner, 'token', true),
          largeText(runner, 'encoding_aes_key', true),
          largeText(runner, 'previous_token', true),
          time('previous_token_until', true),
          largeText(runner, 'previous_encoding_aes_key', true),
          time('previous_encoding_aes_key_until', true),
          time('handshake_verified_at', true),
          time('last_received_at', true),
          time('rejected_at', true),
          text('rejection_reason', 32, true),
          time('created_at'),
          time('updated_at'),
        ],
        indices: [
          {
            name: 'uq_receipt_config_receipt_key',
            columnNames: ['receipt_key'],
            isUnique: true,
          },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'receipt',
        columns: [
          { ...time('received_at'), isPrimary: true },
          id('id', 36),
          text('appid', 32),
          text('event', 64),
          text('openid', 64),
          text('template_id', 64, true),
          text('msgid', 32, true),
          text('status', 32, true),
          text('error_code', 32, true),
          text('detail', 512, true),
          time('occurred_at'),
          largeText(runner, 'payload'),
        ],
        indices: [
          { name: 'idx_receipt_appid_received_at', columnNames: ['appid', 'received_at', 'id'] },
          { name: 'idx_receipt_appid_openid', columnNames: ['appid', 'openid'] },
          { name: 'idx_receipt_appid_msgid', columnNames: ['appid', 'msgid'] },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('receipt');
    await runner.dropTable('receipt_config');
  }
}
