import { type MigrationInterface, type QueryRunner, Table, type TableColumnOptions } from 'typeorm';

const id = (name: string, length: number): TableColumnOptions => ({
  name,
  type: 'varchar',
  length: String(length),
  isPrimary: true,
});
const text = (name: string, length: number, isNullable = false): TableColumnOptions => ({
  name,
  type: 'varchar',
  length: String(length),
  isNullable,
});
const time = (name: string, isNullable = false): TableColumnOptions => ({
  name,
  type: 'datetime',
  precision: 3,
  isNullable,
});
const integer = (name: string, isNullable = false): TableColumnOptions => ({
  name,
  type: 'integer',
  isNullable,
});

export class CreateFirstTables1795478400000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // SQLite's text has no bound; MySQL's ends at 64 KiB, and a push may have 256 KiB.
    const largeText = runner.dataSource.options.type === 'better-sqlite3' ? 'text' : 'mediumtext';
    const large = (name: string, isNullable = false): TableColumnOptions => ({
      name,
      type: largeText,
      isNullable,
    });

    await runner.createTable(
      new Table({ name: 'system_value', columns: [id('name', 64), large('value')] }),
    );
    await runner.createTable(
      new Table({
        name: 'lease',
        columns: [
          id('name', 64),
          text('owner', 36),
          integer('epoch'),
          time('held_until'),
          time('slot'),
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'api_key',
        columns: [
          id('id', 36),
          text('name', 128),
          text('role', 16),
          text('tenant_id', 64),
          text('key_hash', 64),
          time('created_at'),
        ],
        indices: [
          { name: 'uq_api_key_key_hash', columnNames: ['key_hash'], isUnique: true },
          { name: 'uq_api_key_name', columnNames: ['tenant_id', 'name'], isUnique: true },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'push',
        columns: [
          id('id', 36),
          text('account', 32),
          text('dedup_key', 64),
          text('kind', 64),
          time('occurred_at'),
          large('content'),
          text('state', 16),
          integer('attempts'),
          time('next_try_at'),
          text('failure', 512, true),
          time('received_at'),
          time('handled_at', true),
        ],
        indices: [
          {
            name: 'uq_push_account_dedup_key',
            columnNames: ['account', 'dedup_key'],
            isUnique: true,
          },
          { name: 'idx_push_state_next_try_at', columnNames: ['state', 'next_try_at'] },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'token',
        columns: [
          id('appid', 32),
          text('kind', 16),
          large('access_token', true),
          large('refresh_token', true),
          time('expires_at', true),
          integer('version'),
          time('updated_at'),
        ],
        indices: [{ name: 'idx_token_expires_at', columnNames: ['expires_at'] }],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'component_ticket',
        columns: [
          id('appid', 32),
          large('ticket', true),
          time('issued_at', true),
          time('received_at', true),
          integer('restart_attempts'),
          time('restart_requested_at', true),
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'account',
        columns: [
          id('appid', 32),
          text('tenant_id', 64, true),
          text('account_type', 20),
          text('subtype', 24),
          text('nickname', 255),
          text('avatar_url', 1024),
          text('original_id', 64),
          text('alias', 128),
          text('principal_name', 255),
          integer('verify_type', true),
          text('account_status', 16),
          { name: 'permission_ids', type: 'text' },
          text('authorization_state', 32),
          time('authorized_at'),
          time('unauthorized_at', true),
          time('authorization_changed_at'),
          text('openid_property', 128, true),
          integer('enabled'),
          time('synced_at', true),
          time('created_at'),
          time('updated_at'),
        ],
        indices: [
          { name: 'idx_account_tenant_authorized_at', columnNames: ['tenant_id', 'authorized_at'] },
          { name: 'idx_account_authorized_at', columnNames: ['authorized_at'] },
          {
            name: 'uq_account_tenant_openid_property',
            columnNames: ['tenant_id', 'openid_property'],
            isUnique: true,
          },
        ],
      }),
    );
    await runner.createTable(
      new Table({
        name: 'authorization',
        columns: [
          id('id', 43),
          text('tenant_id', 64),
          text('account_type', 20),
          text('only_appid', 32, true),
          text('openid_property', 128, true),
          large('state_token'),
          text('state_hash', 64),
          large('pre_auth_code'),
          text('pre_auth_code_hash', 64),
          text('auth_code_hash', 64, true),
          time('answer_lost_at', true),
          text('status', 16),
          text('appid', 32, true),
          text('failure_code', 64, true),
          integer('failure_errcode', true),
          time('created_at'),
          time('expires_at'),
          time('finished_at', true),
        ],
        indices: [
          { name: 'uq_authorization_state_hash', columnNames: ['state_hash'], isUnique: true },
          {
            name: 'uq_authorization_pre_auth_code_hash',
            columnNames: ['pre_auth_code_hash'],
            isUnique: true,
          },
          { name: 'idx_authorization_status_expires_at', columnNames: ['status', 'expires_at'] },
        ],
      }),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of [
      'authorization',
      'account',
      'component_ticket',
      'token',
      'push',
      'api_key',
      'lease',
      'system_value',
    ]) {
      await runner.dropTable(table);
    }
  }
}
