import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { PushHandlers } from './push-handlers.js';
import { PushRow } from './push.entity.js';
import { PushesController } from './pushes.controller.js';
import { PushesRepository } from './pushes.repository.js';
import { PushesService } from './pushes.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([PushRow])],
  controllers: [PushesController],
  providers: [PushesService, PushesRepository, PushHandlers],
  exports: [PushHandlers, PushesService],
})
export class PushesModule {}
