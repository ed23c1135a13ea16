import { Global, Module } from '@nestjs/common';
import { ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { TypeOrmModule } from '@nestjs/typeorm';

import { Env } from '../../config/env.js';
import { Clock } from '../common/clock.js';
import { Logger } from '../common/logger.js';
import { Database } from '../database/database.js';
import { findInstallation } from '../database/installation.js';
import { BullmqTransport } from './bullmq-transport.js';
import { Heartbeat } from './heartbeat.js';
import { InProcessTransport } from './in-process-transport.js';
import { Lease } from './lease.entity.js';
import { LeasedSchedule } from './leased-schedule.js';
import { LeasesRepository } from './leases.repository.js';
import { SharedMutex } from './shared-mutex.js';
import { WorkHandlers } from './work-handlers.js';
import { WorkQueue } from './work-queue.js';
import { WorkTransport } from './work-transport.js';
import { Work } from './work.entity.js';
import { WorkRepository } from './work.repository.js';

/** Work that is done later or again and again. */
@Global()
@Module({
  imports: [ScheduleModule.forRoot(), TypeOrmModule.forFeature([Lease, Work])],
  providers: [
    Heartbeat,
    LeasedSchedule,
    LeasesRepository,
    SharedMutex,
    WorkHandlers,
    WorkQueue,
    WorkRepository,
    {
      provide: WorkTransport,
      inject: [Env, Database, WorkRepository, Clock, SchedulerRegistry, Logger],
      useFactory: async (
        { redisUrl }: Env,
        db: Database,
        work: WorkRepository,
        clock: Clock,
        registry: SchedulerRegistry,
        logger: Logger,
      ) =>
        redisUrl
          ? new BullmqTransport(redisUrl, await findInstallation(db), logger)
          : new InProcessTransport(work, clock, registry, logger),
    },
  ],
  exports: [Heartbeat, LeasedSchedule, SharedMutex, WorkQueue],
})
export class QueueModule {}
