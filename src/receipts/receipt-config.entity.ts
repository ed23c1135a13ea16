import type { EncryptionMode, PushRefusal } from '@app/wechat';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** Who sends to the address: WeChat itself, or somebody who gets WeChat's pushes and forwards them as they came. */
export const RECEIPT_SOURCES = ['wechat', 'third_party'] as const;
export type ReceiptSource = (typeof RECEIPT_SOURCES)[number];

/** A mini-program's own push configuration (消息推送配置), as it is agreed with its sender. */
@Entity('receipt_config')
@Index('uq_receipt_config_receipt_key', ['receiptKey'], { unique: true })
export class ReceiptConfig {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  /** What the address ends with: 256 random bits in base64url. Made once, never changed. */
  @Column({ name: 'receipt_key', type: 'varchar', length: 43 })
  receiptKey: string;

  @Column({ type: 'varchar', length: 16 })
  source: ReceiptSource;

  @Column({ name: 'encryption_mode', type: 'varchar', length: 16 })
  encryptionMode: EncryptionMode;

  /** Sealed; null until the configuration is saved for the first time. */
  @Column({ type: 'text', nullable: true })
  token: string | null;

  /** Sealed; null where it was never needed. */
  @Column({ name: 'encoding_aes_key', type: 'text', nullable: true })
  encodingAesKey: string | null;

  /** The Token before this one, sealed, accepted until its time. */
  @Column({ name: 'previous_token', type: 'text', nullable: true })
  previousToken: string | null;

  @Column({ name: 'previous_token_until', type: 'datetime', precision: 3, nullable: true })
  previousTokenUntil: Date | null;

  /** Likewise. */
  @Column({ name: 'previous_encoding_aes_key', type: 'text', nullable: true })
  previousEncodingAesKey: string | null;

  @Column({
    name: 'previous_encoding_aes_key_until',
    type: 'datetime',
    precision: 3,
    nullable: true,
  })
  previousEncodingAesKeyUntil: Date | null;

  /** When the sender last tried the address, and found our answer right. */
  @Column({ name: 'handshake_verified_at', type: 'datetime', precision: 3, nullable: true })
  handshakeVerifiedAt: Date | null;

  /** When the last good push came. */
  @Column({ name: 'last_received_at', type: 'datetime', precision: 3, nullable: true })
  lastReceivedAt: Date | null;

  /** When the last refused push or handshake came, and why it was refused. */
  @Column({ name: 'rejected_at', type: 'datetime', precision: 3, nullable: true })
  rejectedAt: Date | null;

  @Column({ name: 'rejection_reason', type: 'varchar', length: 32, nullable: true })
  rejectionReason: PushRefusal | null;

  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;

  @Column({ name: 'updated_at', type: 'datetime', precision: 3 })
  updatedAt: Date;
}
