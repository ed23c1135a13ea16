import { type MigrationInterface, type QueryRunner, Table, TableColumn } from 'typeorm';

import { id, integer, largeText, text, time } from './columns.js';

const json = (name: string): TableColumn =>
  new TableColumn({ name, type: 'text', isNullable: true });

/** What an admin does with an account: its properties, pictures, quota and what a new authorization changed. */
export class CreateAccountLifecycle1795910400000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.addColumns('account', [
      new TableColumn(text('qrcode_url', 1024, true)),
      new TableColumn(time('flagged_at', true)),
    ]);
    await runner.addColumns('authorization', [
      json('only_permission_ids'),
      json('gained_permission_ids'),
      json('lost_permission_ids'),
    ]);
    await runner.createTable(
      new Table({
        name: 'user_property_catalogue',
        columns: [id('tenant_id', 64), time('replaced_at', true)],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'user_property',
        columns: [
          id('tenant_id', 64),
          id('name', 128),
          text('display_name', 255),
          text('data_type', 32),
          integer('place'),
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'account_picture',
        columns: [
          id('id', 43),
          text('appid', 32),
          text('kind', 16),
          text('source_url', 1024),
          text('content_type', 32),
          largeText(runner, 'content'),
          time('copied_at'),
        ],
        indices: [
          {
            name: 'uq_account_picture_appid_kind',
            columnNames: ['appid', 'kind'],
            isUnique: true,
          },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'quota_budget',
        columns: [id('appid', 32), id('month', 7), integer('used'), time('exhausted_at', true)],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'quota_reset',
        columns: [
          id('id', 36),
          text('appid', 32),
          text('month', 7),
          text('actor_name', 128),
          text('outcome', 16),
          integer('errcode', true),
          text('errmsg', 256, true),
          text('rid', 64, true),
          text('path', 128, true),
          time('requested_at'),
        ],
        indices: [{ name: 'idx_quota_reset_appid_month', columnNames: ['appid', 'month'] }],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'quota_pause',
        columns: [id('appid', 32), id('path', 128), time('paused_at'), time('until')],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of [
      'quota_pause',
      'quota_reset',
      'quota_budget',
      'account_picture',
      'user_property',
      'user_property_catalogue',
    ])
      await runner.dropTable(table);
    await runner.dropColumns('authorization', [
      'lost_permission_ids',
      'gained_permission_ids',
      'only_permission_ids',
    ]);
    await runner.dropColumns('account', ['flagged_at', 'qrcode_url']);
  }
}
