import type { MessageTemplate, SubscriptionTemplate } from '@app/wechat';
import { Column, Entity, PrimaryColumn } from 'typeorm';

export const TEMPLATE_KINDS = ['template_message', 'subscription_message'] as const;
export type TemplateKind = (typeof TEMPLATE_KINDS)[number];

export type Template = MessageTemplate | SubscriptionTemplate;

const asJson = {
  to: (value: Template[] | null): string | null => value && JSON.stringify(value),
  from: (text: string | null): Template[] | null =>
    text === null ? null : (JSON.parse(text) as Template[]),
};

/** What WeChat last said an account's templates are. */
@Entity('template_list')
export class TemplateList {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  @PrimaryColumn({ type: 'varchar', length: 32 })
  kind: TemplateKind;

  /** Null until WeChat has said it once. */
  @Column({ type: 'text', nullable: true, transformer: asJson })
  templates: Template[] | null;

  /** When WeChat said it. */
  @Column({ name: 'read_at', type: 'datetime', precision: 3, nullable: true })
  readAt: Date | null;

  /** When WeChat was last asked, whatever came of it. */
  @Column({ name: 'asked_at', type: 'datetime', precision: 3 })
  askedAt: Date;

  /** WeChat has refused one of them since. */
  @Column({ name: 'is_doubted', type: 'integer', transformer: { to: Number, from: Boolean } })
  isDoubted: boolean;
}
