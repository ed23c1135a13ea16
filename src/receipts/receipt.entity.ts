import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

const asJson = {
  to: (value: object): string => JSON.stringify(value),
  from: (text: string): object => JSON.parse(text) as object,
};

/**
 * One entry of a subscription event: what a person chose, or what became of a message.
 *
 * Its time stands in the primary key, and no other key is unique: MySQL can cut the table into partitions by it.
 */
@Entity('receipt')
@Index('idx_receipt_appid_received_at', ['appid', 'receivedAt', 'id'])
@Index('idx_receipt_appid_openid', ['appid', 'openid'])
@Index('idx_receipt_appid_msgid', ['appid', 'msgid'])
export class Receipt {
  /** When its push came. */
  @PrimaryColumn({ name: 'received_at', type: 'datetime', precision: 3 })
  receivedAt: Date;

  /** UUID v7, made of its push's and its place in it: the same however often the push is handled. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  /** WeChat's name of the event, in lower case. */
  @Column({ type: 'varchar', length: 64 })
  event: string;

  @Column({ type: 'varchar', length: 64 })
  openid: string;

  @Column({ name: 'template_id', type: 'varchar', length: 64, nullable: true })
  templateId: string | null;

  /** WeChat's number of the message, 19 digits; null for what is not about a message. */
  @Column({ type: 'varchar', length: 32, nullable: true })
  msgid: string | null;

  /** `accept`, `reject`, `success` or `failed`. */
  @Column({ type: 'varchar', length: 32, nullable: true })
  status: string | null;

  @Column({ name: 'error_code', type: 'varchar', length: 32, nullable: true })
  errorCode: string | null;

  /** WeChat's words for the code. */
  @Column({ type: 'varchar', length: 512, nullable: true })
  detail: string | null;

  /** WeChat's `CreateTime`. */
  @Column({ name: 'occurred_at', type: 'datetime', precision: 3 })
  occurredAt: Date;

  /** The entry as it came. */
  @Column({ type: 'text', transformer: asJson })
  payload: object;
}
