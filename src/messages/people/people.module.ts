import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../../access/access.module.js';
import { AccountsModule } from '../../accounts/accounts.module.js';
import { EventsModule } from '../../events/events.module.js';
import { PushesModule } from '../../pushes/pushes.module.js';
import { GrantsRepository } from './grants.repository.js';
import { IncomingMessage } from './incoming-message.entity.js';
import { PeopleRepository } from './people.repository.js';
import { PeopleService } from './people.service.js';
import { Person, ReplyWindowRow, SubscriptionGrant } from './person.entity.js';

/** The people of an account: what they did, and who can be reached. */
@Module({
  imports: [
    TypeOrmModule.forFeature([Person, ReplyWindowRow, SubscriptionGrant, IncomingMessage]),
    AccessModule,
    AccountsModule,
    EventsModule,
    PushesModule,
  ],
  providers: [GrantsRepository, PeopleRepository, PeopleService],
  exports: [PeopleService],
})
export class PeopleModule {}
