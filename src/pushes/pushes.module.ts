import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../access/access.module.js';
import { DoorAnswers } from './door-answers.js';
import { LedgerController } from './ledger.controller.js';
import { PushAccounts } from './push-accounts.js';
import { PushHandlers } from './push-handlers.js';
import { PushIntake } from './push-intake.js';
import { PushKeeper } from './push-keeper.js';
import { PushLedger } from './push-ledger.js';
import { PushRow } from './push.entity.js';
import { PushesController } from './pushes.controller.js';
import { PushesRepository } from './pushes.repository.js';

@Module({
  imports: [TypeOrmModule.forFeature([PushRow]), AccessModule],
  controllers: [PushesController, LedgerController],
  providers: [
    DoorAnswers,
    PushAccounts,
    PushHandlers,
    PushIntake,
    PushKeeper,
    PushLedger,
    PushesRepository,
  ],
  exports: [DoorAnswers, PushAccounts, PushHandlers, PushKeeper, PushLedger],
})
export class PushesModule {}
