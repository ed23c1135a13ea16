import { type MigrationInterface, type QueryRunner, Table } from 'typeorm';

import { id, integer, largeText, text, time } from './columns.js';

/** Channel codes, and who came by them. */
export class CreateQrCodes1796688000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'qr_code',
        columns: [
          id('id', 36),
          text('appid', 32),
          text('scene', 32),
          text('name', 100),
          text('channel', 64),
          text('group_name', 64, true),
          { name: 'tags', type: 'text' },
          integer('is_permanent'),
          integer('expires_in_days', true),
          text('page', 1024, true),
          text('content_url', 512, true),
          text('ticket', 255, true),
          text('status', 16),
          time('expires_at', true),
          time('renew_at', true),
          time('ends_at', true),
          time('ended_at', true),
          largeText(runner, 'replies', true),
          time('renew_media_at', true),
          integer('revision'),
          text('created_by', 128),
          time('created_at'),
          time('updated_at'),
        ],
        indices: [
          { name: 'uq_qr_code_appid_scene', columnNames: ['appid', 'scene'], isUnique: true },
          { name: 'idx_qr_code_appid_created_at', columnNames: ['appid', 'created_at', 'id'] },
          { name: 'idx_qr_code_appid_revision', columnNames: ['appid', 'revision'] },
          { name: 'idx_qr_code_status_renew_at', columnNames: ['status', 'renew_at'] },
          { name: 'idx_qr_code_status_ends_at', columnNames: ['status', 'ends_at'] },
          { name: 'idx_qr_code_renew_media_at', columnNames: ['renew_media_at'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'qr_code_picture',
        columns: [id('qr_code_id', 36), text('appid', 32), largeText(runner, 'content')],
        indices: [{ name: 'idx_qr_code_picture_appid', columnNames: ['appid'] }],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'qr_code_account',
        columns: [id('appid', 32), integer('permanent_used'), integer('revision')],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'qr_code_visit',
        columns: [
          id('id', 36),
          text('appid', 32),
          text('openid', 64),
          text('act', 16),
          text('qr_code_id', 36, true),
          text('visit', 24, true),
          integer('stays'),
          time('at'),
          text('day', 10),
        ],
        indices: [
          { name: 'idx_qr_code_visit_person', columnNames: ['appid', 'openid', 'act', 'at'] },
          { name: 'idx_qr_code_visit_qr_code_id_at', columnNames: ['qr_code_id', 'at'] },
          {
            name: 'idx_qr_code_visit_figures',
            columnNames: ['qr_code_id', 'openid', 'visit', 'act', 'stays'],
          },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['qr_code_visit', 'qr_code_account', 'qr_code_picture', 'qr_code'])
      await runner.dropTable(table);
  }
}
