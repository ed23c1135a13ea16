import type { MediaFormat, MediaKind } from '@app/wechat';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A file that messages of one account carry. Written once, never updated. */
@Entity('media')
@Index('idx_media_appid_created_at', ['appid', 'createdAt', 'id'])
export class Media {
  /** UUID v7 of ours: what contents of messages name. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  /** What its sender called it, with the ending that its content has. */
  @Column({ type: 'varchar', length: 255 })
  name: string;

  @Column({ type: 'varchar', length: 16 })
  kind: MediaKind;

  /** By its content. */
  @Column({ type: 'varchar', length: 16 })
  format: MediaFormat;

  /** How many. */
  @Column({ type: 'integer' })
  bytes: number;

  /** Of its content, in hexadecimal digits. */
  @Column({ type: 'varchar', length: 64 })
  sha256: string;

  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;
}

/** A part of a file's content, small enough for the smallest packet that a MySQL server takes. */
@Entity('media_piece')
export class MediaPiece {
  @PrimaryColumn({ name: 'media_id', type: 'varchar', length: 36 })
  mediaId: string;

  /** From 0. */
  @PrimaryColumn({ type: 'integer' })
  place: number;

  /** Base64: the two databases have no type for bytes of this size in common. */
  @Column({ type: 'text' })
  content: string;
}

/** WeChat's copy of a file, the last one that was made for a use. */
@Entity('media_upload')
@Index('idx_media_upload_appid', ['appid'])
export class MediaUpload {
  @PrimaryColumn({ name: 'media_id', type: 'varchar', length: 36 })
  mediaId: string;

  /** What it was uploaded as: an image may serve as a thumb too. */
  @PrimaryColumn({ type: 'varchar', length: 16 })
  kind: MediaKind;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  /** WeChat's id of the copy. */
  @Column({ name: 'wechat_media_id', type: 'varchar', length: 255 })
  wechatMediaId: string;

  @Column({ name: 'uploaded_at', type: 'datetime', precision: 3 })
  uploadedAt: Date;

  /** When WeChat forgets it. */
  @Column({ name: 'expires_at', type: 'datetime', precision: 3 })
  expiresAt: Date;
}
