import { Global, Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { TypeOrmModule } from '@nestjs/typeorm';

import { Lease } from './lease.entity.js';
import { LeasedSchedule } from './leased-schedule.js';
import { LeasesRepository } from './leases.repository.js';

/** Work that is done later or again and again. */
@Global()
@Module({
  imports: [ScheduleModule.forRoot(), TypeOrmModule.forFeature([Lease])],
  providers: [LeasedSchedule, LeasesRepository],
  exports: [LeasedSchedule],
})
export class QueueModule {}
