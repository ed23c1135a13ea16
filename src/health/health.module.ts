import { Module } from '@nestjs/common';

import { AccessModule } from '../access/access.module.js';
import { ComponentAuthorizationModule } from '../component-authorization/component-authorization.module.js';
import { EventsModule } from '../events/events.module.js';
import { PushesModule } from '../pushes/pushes.module.js';
import { TokensModule } from '../tokens/tokens.module.js';
import { Diagnosis } from './diagnosis.js';
import { HealthController } from './health.controller.js';
import { MetricsController } from './metrics.controller.js';
import { Readings } from './readings.js';
import { WorkController } from './work.controller.js';

/** What supervisors and operators look at. */
@Module({
  imports: [AccessModule, ComponentAuthorizationModule, EventsModule, PushesModule, TokensModule],
  controllers: [HealthController, MetricsController, WorkController],
  providers: [Diagnosis, Readings],
})
export class HealthModule {}
