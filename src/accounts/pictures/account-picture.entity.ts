import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

export const PICTURE_KINDS = ['avatar', 'qrcode'] as const;
export type PictureKind = (typeof PICTURE_KINDS)[number];

/** Our copy of a picture of an account: WeChat's addresses go stale, and refuse to be shown on other pages. */
@Entity('account_picture')
@Index('uq_account_picture_appid_kind', ['appid', 'kind'], { unique: true })
export class AccountPicture {
  /** Unguessable: it is the address that the picture is shown under. Another one with each new content. */
  @PrimaryColumn({ type: 'varchar', length: 43 })
  id: string;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  @Column({ type: 'varchar', length: 16 })
  kind: PictureKind;

  /** WeChat's address that it was copied from. */
  @Column({ name: 'source_url', type: 'varchar', length: 1024 })
  sourceUrl: string;

  @Column({ name: 'content_type', type: 'varchar', length: 32 })
  contentType: string;

  /** Base64: the two databases have no type for bytes of this size in common. */
  @Column({ type: 'text' })
  content: string;

  @Column({ name: 'copied_at', type: 'datetime', precision: 3 })
  copiedAt: Date;
}
