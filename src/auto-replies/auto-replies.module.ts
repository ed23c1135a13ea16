import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../access/access.module.js';
import { AccountsModule } from '../accounts/accounts.module.js';
import { MessagesModule } from '../messages/messages.module.js';
import { PushesModule } from '../pushes/pushes.module.js';
import { TokensModule } from '../tokens/tokens.module.js';
import { AutoRepliesController } from './auto-replies.controller.js';
import { AutoRepliesRepository } from './auto-replies.repository.js';
import { AutoRepliesService } from './auto-replies.service.js';
import {
  AutoReply,
  AutoReplyPerson,
  AutoReplyRevision,
  AutoReplyStat,
} from './auto-reply.entity.js';
import { ReplyMedia } from './reply-media.js';
import { Responder } from './responder.js';
import { RuleBook } from './rule-book.js';

/** Rules that answer people by themselves. */
@Module({
  imports: [
    TypeOrmModule.forFeature([AutoReply, AutoReplyPerson, AutoReplyRevision, AutoReplyStat]),
    AccessModule,
    AccountsModule,
    MessagesModule,
    PushesModule,
    TokensModule,
  ],
  controllers: [AutoRepliesController],
  providers: [AutoRepliesRepository, AutoRepliesService, ReplyMedia, Responder, RuleBook],
})
export class AutoRepliesModule {}
