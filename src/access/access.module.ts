import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessService } from './access.service.js';
import { ApiKey } from './api-key.entity.js';
import { ApiKeysController } from './api-keys.controller.js';
import { ApiKeysRepository } from './api-keys.repository.js';
import { ApiKeysService } from './api-keys.service.js';
import { AuditChain, AuditEntry } from './audit-entry.entity.js';
import { AuditSealer } from './audit-sealer.js';
import { AuditVerifier } from './audit-verifier.js';
import { AuditController } from './audit.controller.js';
import { AuditRepository } from './audit.repository.js';
import { AuditService } from './audit.service.js';
import { KeyCache } from './key-cache.js';
import { KeyUses } from './key-uses.js';
import { RateLimits } from './rate-limits.js';

@Module({
  imports: [TypeOrmModule.forFeature([ApiKey, AuditEntry, AuditChain])],
  controllers: [ApiKeysController, AuditController],
  providers: [
    AccessService,
    ApiKeysRepository,
    ApiKeysService,
    AuditRepository,
    AuditSealer,
    AuditService,
    AuditVerifier,
    KeyCache,
    KeyUses,
    RateLimits,
  ],
  exports: [AccessService, AuditService],
})
export class AccessModule {}
