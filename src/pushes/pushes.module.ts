import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../access/access.module.js';
import { LedgerController } from './ledger.controller.js';
import { PushAccounts } from './push-accounts.js';
import { PushHandlers } from './push-handlers.js';
import { PushIntake } from './push-intake.js';
import { PushLedger } from './push-ledger.js';
import { PushRow } from './push.entity.js';
import { PushesController } from './pushes.controller.js';
import { PushesRepository } from './pushes.repository.js';

@Module({
  imports: [TypeOrmModule.forFeature([PushRow]), AccessModule],
  controllers: [PushesController, LedgerController],
  providers: [PushAccounts, PushHandlers, PushIntake, PushLedger, PushesRepository],
  exports: [PushAccounts, PushHandlers, PushLedger],
})
export class PushesModule {}
