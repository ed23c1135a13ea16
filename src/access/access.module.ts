import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessService } from './access.service.js';
import { ApiKey } from './api-key.entity.js';
import { ApiKeysRepository } from './api-keys.repository.js';
import { AuditChain, AuditEntry } from './audit-entry.entity.js';
import { AuditRepository } from './audit.repository.js';
import { AuditService } from './audit.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([ApiKey, AuditEntry, AuditChain])],
  providers: [AccessService, ApiKeysRepository, AuditRepository, AuditService],
  exports: [AccessService, AuditService],
})
export class AccessModule {}
