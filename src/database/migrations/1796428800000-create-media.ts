import { type MigrationInterface, type QueryRunner, Table } from 'typeorm';

import { id, integer, largeText, text, time } from './columns.js';

/** Files that messages carry, where WeChat has them, and the templates that accounts have at WeChat. */
export class CreateMedia1796428800000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'media',
        columns: [
          id('id', 36),
          text('appid', 32),
          text('name', 255),
          text('kind', 16),
          text('format', 16),
          integer('bytes'),
          text('sha256', 64),
          time('created_at'),
        ],
        indices: [
          { name: 'idx_media_appid_created_at', columnNames: ['appid', 'created_at', 'id'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'media_piece',
        columns: [
          id('media_id', 36),
          { ...integer('place'), isPrimary: true },
          largeText(runner, 'content'),
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'media_upload',
        columns: [
          id('media_id', 36),
          id('kind', 16),
          text('appid', 32),
          text('wechat_media_id', 255),
          time('uploaded_at'),
          time('expires_at'),
        ],
        indices: [{ name: 'idx_media_upload_appid', columnNames: ['appid'] }],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'template_list',
        columns: [
          id('appid', 32),
          id('kind', 32),
          largeText(runner, 'templates', true),
          time('read_at', true),
          time('asked_at'),
          integer('is_doubted'),
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['template_list', 'media_upload', 'media_piece', 'media'])
      await runner.dropTable(table);
  }
}
