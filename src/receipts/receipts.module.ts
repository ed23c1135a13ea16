import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../access/access.module.js';
import { AccountsModule } from '../accounts/accounts.module.js';
import { EventsModule } from '../events/events.module.js';
import { MessagesModule } from '../messages/messages.module.js';
import { PushesModule } from '../pushes/pushes.module.js';
import { ReceiptConfig } from './receipt-config.entity.js';
import { ReceiptConfigsController } from './receipt-configs.controller.js';
import { ReceiptConfigsRepository } from './receipt-configs.repository.js';
import { ReceiptConfigsService } from './receipt-configs.service.js';
import { ReceiptDoorController } from './receipt-door.controller.js';
import { ReceiptDoors } from './receipt-doors.js';
import { ReceiptIntake } from './receipt-intake.js';
import { ReceiptNotes } from './receipt-notes.js';
import { Receipt } from './receipt.entity.js';
import { ReceiptsController } from './receipts.controller.js';
import { ReceiptsRepository } from './receipts.repository.js';
import { ReceiptsService } from './receipts.service.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([ReceiptConfig, Receipt]),
    AccessModule,
    AccountsModule,
    EventsModule,
    MessagesModule,
    PushesModule,
  ],
  controllers: [ReceiptConfigsController, ReceiptDoorController, ReceiptsController],
  providers: [
    ReceiptConfigsRepository,
    ReceiptConfigsService,
    ReceiptDoors,
    ReceiptIntake,
    ReceiptNotes,
    ReceiptsRepository,
    ReceiptsService,
  ],
  exports: [ReceiptConfigsService, ReceiptsService],
})
export class ReceiptsModule {}
