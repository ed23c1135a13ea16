import { type MigrationInterface, type QueryRunner, Table } from 'typeorm';

import { id, integer, largeText, text, time } from './columns.js';

/** How mini-programs' own tokens are got. */
export class CreateSendConfig1796083200000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'send_config',
        columns: [
          id('appid', 32),
          text('tenant_id', 64, true),
          text('strategy', 20),
          largeText(runner, 'settings'),
          text('url_digest', 64, true),
          integer('revision'),
          time('verified_at', true),
          { name: 'verified_failure', type: 'text', isNullable: true },
          time('succeeded_at', true),
          time('failed_at', true),
          { name: 'failure', type: 'text', isNullable: true },
          time('updated_at'),
        ],
        indices: [
          {
            name: 'uq_send_config_tenant_url_digest',
            columnNames: ['tenant_id', 'url_digest'],
            isUnique: true,
          },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('send_config');
  }
}
