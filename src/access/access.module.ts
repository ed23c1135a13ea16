import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessService } from './access.service.js';
import { ApiKey } from './api-key.entity.js';
import { ApiKeysRepository } from './api-keys.repository.js';

@Module({
  imports: [TypeOrmModule.forFeature([ApiKey])],
  providers: [AccessService, ApiKeysRepository],
  exports: [AccessService],
})
export class AccessModule {}
