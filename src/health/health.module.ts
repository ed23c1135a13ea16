import { Module } from '@nestjs/common';

import { ComponentAuthorizationModule } from '../component-authorization/component-authorization.module.js';
import { HealthController } from './health.controller.js';

@Module({
  imports: [ComponentAuthorizationModule],
  controllers: [HealthController],
})
export class HealthModule {}
