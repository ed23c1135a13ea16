import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

import type { AnyMessageDto } from '../messages/kinds/customer-service-message.dto.js';

export const QR_CODE_STATUSES = ['active', 'ended'] as const;
export type QrCodeStatus = (typeof QR_CODE_STATUSES)[number];

/** A tag (标签) of the account at WeChat. */
export interface QrCodeTag {
  id: number;
  name: string;
}

/** What a code says to who scans it; an empty list says nothing. */
export interface QrCodeReplies {
  /** To who follows by it, for the first time or again. */
  newFollower: AnyMessageDto[];
  /** To who was a follower already. */
  existingFollower: AnyMessageDto[];
}

const asFlag = { to: Number, from: Boolean };
const asJson = {
  to: (value: QrCodeReplies | null) => value && JSON.stringify(value),
  from: (value: string | null) => value && (JSON.parse(value) as QrCodeReplies),
};

/** A channel code (渠道二维码): it stays the same for whoever manages it, however often WeChat's picture is renewed. */
@Entity('qr_code')
@Index('uq_qr_code_appid_scene', ['appid', 'scene'], { unique: true })
@Index('idx_qr_code_appid_created_at', ['appid', 'createdAt', 'id'])
@Index('idx_qr_code_appid_revision', ['appid', 'revision'])
@Index('idx_qr_code_status_renew_at', ['status', 'renewAt'])
@Index('idx_qr_code_status_ends_at', ['status', 'endsAt'])
@Index('idx_qr_code_renew_media_at', ['renewMediaAt'])
export class QrCode {
  /** UUID v7 of ours. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  /** What WeChat tells us of a scan: opaque, never anything about a person. */
  @Column({ type: 'varchar', length: 32 })
  scene: string;

  @Column({ type: 'varchar', length: 100 })
  name: string;

  @Column({ type: 'varchar', length: 64 })
  channel: string;

  @Column({ name: 'group_name', type: 'varchar', length: 64, nullable: true })
  group: string | null;

  @Column({ type: 'simple-json' })
  tags: QrCodeTag[];

  @Column({ name: 'is_permanent', type: 'integer', transformer: asFlag })
  isPermanent: boolean;

  /** How long WeChat's picture of a temporary one lives before it is made anew; null for a permanent one. */
  @Column({ name: 'expires_in_days', type: 'integer', nullable: true })
  expiresInDays: number | null;

  /** Of a mini-program's code: the page that it opens; null for the home page. */
  @Column({ type: 'varchar', length: 1024, nullable: true })
  page: string | null;

  /** What the picture says; null for a mini-program's, which only WeChat can draw. */
  @Column({ name: 'content_url', type: 'varchar', length: 512, nullable: true })
  contentUrl: string | null;

  @Column({ type: 'varchar', length: 255, nullable: true })
  ticket: string | null;

  @Column({ type: 'varchar', length: 16 })
  status: QrCodeStatus;

  /** When the present picture stops working; null for one that lasts. */
  @Column({ name: 'expires_at', type: 'datetime', precision: 3, nullable: true })
  expiresAt: Date | null;

  /** When the next picture is asked for; null where none is needed. */
  @Column({ name: 'renew_at', type: 'datetime', precision: 3, nullable: true })
  renewAt: Date | null;

  /** When it ends by itself. */
  @Column({ name: 'ends_at', type: 'datetime', precision: 3, nullable: true })
  endsAt: Date | null;

  @Column({ name: 'ended_at', type: 'datetime', precision: 3, nullable: true })
  endedAt: Date | null;

  @Column({ type: 'text', nullable: true, transformer: asJson })
  replies: QrCodeReplies | null;

  /** When WeChat's copies of what it says in answers are to be looked after; null where it needs none. */
  @Column({ name: 'renew_media_at', type: 'datetime', precision: 3, nullable: true })
  renewMediaAt: Date | null;

  /** Of the account's codes when this one last changed: who remembers them reads on from there. */
  @Column({ type: 'integer' })
  revision: number;

  /** The name of the API key that made it. */
  @Column({ name: 'created_by', type: 'varchar', length: 128 })
  createdBy: string;

  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;

  /** Of its settings and its status. */
  @Column({ name: 'updated_at', type: 'datetime', precision: 3 })
  updatedAt: Date;
}

/** The picture of a mini-program's code, as WeChat drew it. */
@Entity('qr_code_picture')
@Index('idx_qr_code_picture_appid', ['appid'])
export class QrCodePicture {
  @PrimaryColumn({ name: 'qr_code_id', type: 'varchar', length: 36 })
  qrCodeId: string;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  /** Base64 of a PNG or a JPEG. */
  @Column({ type: 'text' })
  content: string;
}

/** What an account's codes share. Its row is what those who change them take turns on. */
@Entity('qr_code_account')
export class QrCodeAccount {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  /** Permanent codes that WeChat has made for us. It forgets none, so neither does this. */
  @Column({ name: 'permanent_used', type: 'integer' })
  permanentUsed: number;

  @Column({ type: 'integer' })
  revision: number;
}
