import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../access/access.module.js';
import { EventPosition, EventRow } from './event.entity.js';
import { EventWords } from './event-words.js';
import { EventsController } from './events.controller.js';
import { EventsRepository } from './events.repository.js';
import { EventsService } from './events.service.js';
import { VisibleWebhookGuard } from './webhooks/visible-webhook.guard.js';
import { WebhookRelay } from './webhooks/webhook-relay.js';
import { WebhookSender } from './webhooks/webhook-sender.js';
import { Webhook, WebhookDelivery, WebhookSequence } from './webhooks/webhook.entity.js';
import { WebhooksController } from './webhooks/webhooks.controller.js';
import { WebhooksRepository } from './webhooks/webhooks.repository.js';
import { WebhooksService } from './webhooks/webhooks.service.js';

@Module({
  imports: [
    AccessModule,
    TypeOrmModule.forFeature([EventRow, EventPosition, Webhook, WebhookDelivery, WebhookSequence]),
  ],
  controllers: [EventsController, WebhooksController],
  providers: [
    EventWords,
    EventsRepository,
    EventsService,
    VisibleWebhookGuard,
    WebhookRelay,
    WebhookSender,
    WebhooksRepository,
    WebhooksService,
  ],
  exports: [EventsService],
})
export class EventsModule {}
