import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../../access/access.module.js';
import { AccountsModule } from '../../accounts/accounts.module.js';
import { EventsModule } from '../../events/events.module.js';
import { PushesModule } from '../../pushes/pushes.module.js';
import { EligibilityService } from './eligibility.service.js';
import { GrantsRepository } from './grants.repository.js';
import { IncomingMessage } from './incoming-message.entity.js';
import { IncomingMessagesRepository } from './incoming-messages.repository.js';
import { IncomingMessages } from './incoming-messages.service.js';
import { PeopleController } from './people.controller.js';
import { PeopleRepository } from './people.repository.js';
import { PeopleService } from './people.service.js';
import { PeopleWatchers } from './people-watchers.js';
import { PersonErasure } from './person-erasure.js';
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
  controllers: [PeopleController],
  providers: [
    EligibilityService,
    GrantsRepository,
    IncomingMessages,
    IncomingMessagesRepository,
    PeopleRepository,
    PeopleService,
    PeopleWatchers,
    PersonErasure,
  ],
  exports: [EligibilityService, PeopleService, PeopleWatchers],
})
export class PeopleModule {}
