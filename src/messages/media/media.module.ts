import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../../access/access.module.js';
import { AccountsModule } from '../../accounts/accounts.module.js';
import { MediaUploads } from './media-uploads.js';
import { MediaUsers } from './media-users.js';
import { MediaUploadsRepository } from './media-uploads.repository.js';
import { MediaController } from './media.controller.js';
import { Media, MediaPiece, MediaUpload } from './media.entity.js';
import { MediaRepository } from './media.repository.js';
import { MediaService } from './media.service.js';

/** Files that messages carry. */
@Module({
  imports: [
    TypeOrmModule.forFeature([Media, MediaPiece, MediaUpload]),
    AccessModule,
    AccountsModule,
  ],
  controllers: [MediaController],
  providers: [MediaRepository, MediaService, MediaUploads, MediaUploadsRepository, MediaUsers],
  exports: [MediaService, MediaUploads, MediaUsers],
})
export class MediaModule {}
