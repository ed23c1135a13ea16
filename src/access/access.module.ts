import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessService } from './access.service.js';
import { ApiKey } from './api-key.entity.js';
import { ApiKeysRepository } from './api-keys.repository.js';
import { AuditChain, AuditEntry } from './audit-entry.entity.js';
import { AuditSealer } from './audit-sealer.js';
import { AuditVerifier } from './audit-verifier.js';
import { AuditController } from './audit.controller.js';
import { AuditRepository } from './audit.repository.js';
import { AuditService } from './audit.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([ApiKey, AuditEntry, AuditChain])],
  controllers: [AuditController],
  providers: [
    AccessService,
    ApiKeysRepository,
    AuditRepository,
    AuditSealer,
    AuditService,
    AuditVerifier,
  ],
  exports: [AccessService, AuditService],
})
export class AccessModule {}
