import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../access/access.module.js';
import { AccountsModule } from '../accounts/accounts.module.js';
import { EventsModule } from '../events/events.module.js';
import { PushesModule } from '../pushes/pushes.module.js';
import { SendConfigModule } from '../send-config/send-config.module.js';
import { TokensModule } from '../tokens/tokens.module.js';
import { DeliveriesController } from './deliveries/deliveries.controller.js';
import { DeliveriesRepository } from './deliveries/deliveries.repository.js';
import { Delivery, MessageResult } from './deliveries/delivery.entity.js';
import { DeliveryLedger } from './deliveries/delivery-ledger.js';
import { MessageResults } from './deliveries/message-results.service.js';
import { MessageResultsRepository } from './deliveries/message-results.repository.js';
import { BroadcastKind } from './kinds/broadcast.kind.js';
import { CarriedMedia } from './kinds/carried-media.js';
import { CustomerServiceMessageKind } from './kinds/customer-service-message.kind.js';
import { MessageKinds } from './kinds/message-kinds.js';
import { PassiveMedia } from './kinds/passive-media.js';
import { ReplyMessages } from './kinds/reply-messages.js';
import { SubscriptionMessageKind } from './kinds/subscription-message.kind.js';
import { TemplateMessageKind } from './kinds/template-message.kind.js';
import { MediaModule } from './media/media.module.js';
import { PeopleModule } from './people/people.module.js';
import { Acceptances } from './sending/acceptances.js';
import { DeliveryLeases } from './sending/delivery-leases.js';
import { DeliverySender } from './sending/delivery-sender.js';
import { MessagesController } from './sending/messages.controller.js';
import { SceneGate } from './sending/scene-gate.js';
import { SendingService } from './sending/sending.service.js';
import { TemplatesModule } from './templates/templates.module.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([Delivery, MessageResult]),
    AccessModule,
    AccountsModule,
    EventsModule,
    MediaModule,
    PeopleModule,
    PushesModule,
    SendConfigModule,
    TemplatesModule,
    TokensModule,
  ],
  controllers: [DeliveriesController, MessagesController],
  providers: [
    Acceptances,
    BroadcastKind,
    CarriedMedia,
    CustomerServiceMessageKind,
    DeliveriesRepository,
    DeliveryLeases,
    DeliveryLedger,
    DeliverySender,
    MessageKinds,
    MessageResults,
    MessageResultsRepository,
    PassiveMedia,
    ReplyMessages,
    SceneGate,
    SendingService,
    SubscriptionMessageKind,
    TemplateMessageKind,
  ],
  exports: [
    DeliveryLedger,
    DeliverySender,
    MediaModule,
    MessageResults,
    PassiveMedia,
    PeopleModule,
    ReplyMessages,
    TemplatesModule,
  ],
})
export class MessagesModule {}
