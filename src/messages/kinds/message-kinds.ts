import { Injectable } from '@nestjs/common';

import { BroadcastKind } from './broadcast.kind.js';
import { CustomerServiceMessageKind } from './customer-service-message.kind.js';
import type { MessageKind, MessageKindName } from './message-kind.js';
import { SubscriptionMessageKind } from './subscription-message.kind.js';
import { TemplateMessageKind } from './template-message.kind.js';

/** The kinds of messages, by name. */
@Injectable()
export class MessageKinds {
  readonly #kinds: Readonly<Record<MessageKindName, MessageKind>>;

  constructor(
    template: TemplateMessageKind,
    subscription: SubscriptionMessageKind,
    customerService: CustomerServiceMessageKind,
    broadcast: BroadcastKind,
  ) {
    this.#kinds = {
      template_message: template,
      subscription_message: subscription,
      customer_service_message: customerService,
      broadcast,
    };
  }

  of(name: MessageKindName): MessageKind {
    return this.#kinds[name];
  }
}
