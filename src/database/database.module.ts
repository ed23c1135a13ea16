import { Global, Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { SecretBox } from '@app/secret-box';
import type { DataSource, DataSourceOptions } from 'typeorm';

import { dataSourceOptions } from '../../config/database.js';
import { Env } from '../../config/env.js';
import { AccountData } from './account-data.js';
import { Database } from './database.js';
import { type InstanceLock, lockInstance } from './instance-lock.js';
import { openReader, openStatements, openWriter } from './open-database.js';
import { SealedColumns } from './sealed-columns.js';
import { openSecretBox } from './secret-keys.js';
import { isStorageAway } from './storage-away.js';
import { SystemValue } from './system-value.entity.js';

const INSTANCE_LOCK = Symbol('instance lock');
const READER = Symbol('reader');
const STATEMENTS = Symbol('statements');
const NO_LOCK: InstanceLock = { release: () => undefined };

/** Takes the SQLite file before anything opens it. */
@Global()
@Module({
  providers: [
    {
      provide: INSTANCE_LOCK,
      inject: [Env],
      useFactory: ({ database }: Env) => {
        const options = dataSourceOptions(database);
        return options.type === 'better-sqlite3' ? lockInstance(options.database) : NO_LOCK;
      },
    },
  ],
  exports: [INSTANCE_LOCK],
})
class InstanceLockModule {}

/** Closes what TypeOrmModule does not know of, the lock last. */
@Injectable()
class DatabaseShutdown implements OnApplicationShutdown {
  constructor(
    @Inject(READER) private readonly reader: DataSource,
    @Inject(STATEMENTS) private readonly statements: DataSource,
    @Inject(INSTANCE_LOCK) private readonly lock: InstanceLock,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    for (const source of [this.statements, this.reader])
      if (source.isInitialized) await source.destroy();
    this.lock.release();
  }
}

@Global()
@Module({
  imports: [
    InstanceLockModule,
    TypeOrmModule.forRootAsync({
      inject: [Env, INSTANCE_LOCK],
      useFactory: (env: Env) => ({
        ...dataSourceOptions(env.database),
        autoLoadEntities: true,
        migrateAtStart: env.migrateAtStart,
        // A database that is still starting is waited for; anything else is for the operator to put right.
        toRetry: isStorageAway,
      }),
      dataSourceFactory: (options?: DataSourceOptions & { migrateAtStart?: boolean }) => {
        if (!options) throw new TypeError('TypeOrmModule hands over the options of useFactory');
        const { migrateAtStart = true, ...rest } = options;
        return openWriter(rest, migrateAtStart);
      },
    }),
    TypeOrmModule.forFeature([SystemValue]),
  ],
  providers: [
    { provide: READER, inject: [getDataSourceToken()], useFactory: openReader },
    { provide: STATEMENTS, inject: [getDataSourceToken()], useFactory: openStatements },
    {
      provide: Database,
      inject: [getDataSourceToken(), READER, STATEMENTS],
      useFactory: (writer: DataSource, reader: DataSource, statements: DataSource) =>
        new Database(writer, reader, statements),
    },
    { provide: SecretBox, inject: [Env, Database], useFactory: openSecretBox },
    AccountData,
    SealedColumns,
    DatabaseShutdown,
  ],
  exports: [AccountData, Database, SealedColumns, SecretBox],
})
export class DatabaseModule {}
