import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../access/access.module.js';
import { AccountsModule } from '../accounts/accounts.module.js';
import { EventsModule } from '../events/events.module.js';
import { MessagesModule } from '../messages/messages.module.js';
import { PushesModule } from '../pushes/pushes.module.js';
import { TokensModule } from '../tokens/tokens.module.js';
import { QrCodePicturesController } from './pictures/qr-code-pictures.controller.js';
import { QrCodePictures } from './pictures/qr-code-pictures.service.js';
import { QrCodeMaker } from './qr-code-maker.js';
import { QrCodeTags } from './qr-code-tags.js';
import { QrCodeUpkeep } from './qr-code-upkeep.js';
import { QrCode, QrCodeAccount, QrCodePicture } from './qr-code.entity.js';
import { QrCodesController } from './qr-codes.controller.js';
import { QrCodesRepository } from './qr-codes.repository.js';
import { QrCodesService } from './qr-codes.service.js';
import { CodeReplies } from './replies/code-replies.js';
import { ReplyContents } from './replies/reply-contents.js';
import { ReplyFiles } from './replies/reply-files.js';
import { QrCodeVisit } from './visits/qr-code-visit.entity.js';
import { QrCodeVisitsRepository } from './visits/qr-code-visits.repository.js';
import { QrCodeVisits } from './visits/qr-code-visits.service.js';
import { QrCodeStatsController } from './visits/stats.controller.js';
import { QrCodeStats } from './visits/stats.service.js';

/** Channel codes: who came by which of them. */
@Module({
  imports: [
    TypeOrmModule.forFeature([QrCode, QrCodeAccount, QrCodePicture, QrCodeVisit]),
    AccessModule,
    AccountsModule,
    EventsModule,
    MessagesModule,
    PushesModule,
    TokensModule,
  ],
  // As the documentation shows them.
  controllers: [QrCodesController, QrCodePicturesController, QrCodeStatsController],
  providers: [
    CodeReplies,
    QrCodeMaker,
    QrCodePictures,
    QrCodeStats,
    QrCodeTags,
    QrCodeUpkeep,
    QrCodeVisits,
    QrCodeVisitsRepository,
    QrCodesRepository,
    QrCodesService,
    ReplyContents,
    ReplyFiles,
  ],
  exports: [QrCodesService],
})
export class QrCodesModule {}
