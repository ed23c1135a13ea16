import { ACTIVITIES, type Activity } from '@app/wechat';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, Length, ValidateIf } from 'class-validator';

import { PageQueryDto } from '../../common/paging.js';
import { inLang, type Lang } from '../../common/text.js';
import { QueryBoolean } from '../../common/query-boolean.js';
import { MESSAGE_KINDS, type MessageKindName } from '../kinds/message-kind.js';
import type { Eligibility } from './eligibility.service.js';
import { leftOf, type PersonProfile } from './people.service.js';

const OPENID = 'oFixtureOpenId00000000000001';
const TIME = '2026-11-22T08:00:00.000Z';

export class PersonDto {
  @ApiProperty({ example: OPENID })
  openid: string;

  @ApiProperty({
    type: Boolean,
    nullable: true,
    description:
      '是否关注；null 表示未知（例如授权之前就已关注且尚无互动），小程序始终为 null / Whether the account is followed; null while nothing has told, and for mini-programs',
    example: true,
  })
  following: boolean | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: '收到的第一次关注事件 / By the first event that has come',
    example: TIME,
  })
  firstFollowedAt: Date | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: '最近一次关注 / The last time',
    example: TIME,
  })
  followedAt: Date | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description:
      '最近一次关注所扫二维码的场景值 / Of the QR code that led to it, the last time; null where none did',
    example: 'ch:7Q2M',
  })
  followScene: string | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  unfollowedAt: Date | null;

  @ApiProperty({
    description: '收到的关注次数；大于 1 为回流用户 / Times; above 1 for somebody who came back',
    example: 1,
  })
  timesFollowed: number;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description:
      '最近一次互动（消息、菜单、扫码等） / The last thing that was done, whatever it was',
    example: TIME,
  })
  lastInteractionAt: Date | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: TIME })
  lastMessageAt: Date | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description:
      '自此拒收消息；再次互动后清除 / Since when our messages are refused; cleared when the person acts again',
    example: null,
  })
  blockedAt: Date | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: '自此在账号的黑名单中 / Since when the person is on the account’s blacklist',
    example: null,
  })
  blacklistedAt: Date | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: '自此微信不认该 OpenID / Since when WeChat calls the openid wrong',
    example: null,
  })
  unknownAt: Date | null;
}

export class ReplyWindowDto {
  @ApiProperty({
    enum: ACTIVITIES,
    description: '打开窗口的互动 / What has opened it',
    example: 'message',
  })
  activity: Activity;

  @ApiProperty({ format: 'date-time', example: '2026-11-24T08:00:00.000Z' })
  until: Date;

  @ApiProperty({ description: '还可发送的条数 / Messages that it still allows', example: 5 })
  left: number;
}

export class GrantDto {
  @ApiProperty({ example: 'nshp_9VmzMvd5TqzAp555L4JnMyhpMPIFrvR8o-ib5g' })
  templateId: string;

  @ApiProperty({
    type: Number,
    nullable: true,
    description:
      '还可发送的条数；长期订阅为 null / Messages that may still be sent; null for a long-term consent',
    example: 2,
  })
  left: number | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: TIME })
  changedAt: Date | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  rejectedAt: Date | null;
}

export class PersonProfileDto extends PersonDto {
  @ApiProperty({
    type: [ReplyWindowDto],
    description: '此刻有效的客服消息窗口 / Windows for customer-service messages that are open now',
  })
  windows: ReplyWindowDto[];

  @ApiProperty({
    type: [GrantDto],
    description: '订阅消息授权 / Consents to subscription messages',
  })
  grants: GrantDto[];
}

export class PersonPageDto {
  @ApiProperty({ type: [PersonDto] })
  items: PersonDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;
}

export class ListPeopleDto extends PageQueryDto {
  @ApiPropertyOptional({
    type: Boolean,
    description:
      '只列出关注者（true）或已知未关注者（false） / Only followers, or only those who are known not to follow',
  })
  @IsOptional()
  @QueryBoolean()
  following?: boolean;
}

export class EligibilityQueryDto {
  @ApiProperty({ example: OPENID })
  @IsString()
  @Length(1, 64)
  openid: string;

  @ApiProperty({ enum: MESSAGE_KINDS, example: 'customer_service_message' })
  @IsIn(MESSAGE_KINDS)
  kind: MessageKindName;

  // Without an example, which Swagger UI would send.
  @ApiPropertyOptional({
    description: '订阅消息的模板，此时必填 / The template, required of a subscription message',
  })
  @ValidateIf(
    ({ kind, templateId }: EligibilityQueryDto) =>
      kind === 'subscription_message' || templateId !== undefined,
  )
  @IsString()
  @Length(1, 64)
  templateId?: string;
}

export class EligibilityReasonDto {
  @ApiProperty({
    description:
      '账号的原因同 scenes；用户的原因：user_not_follower, user_blocked, user_blacklisted, user_unknown, window_closed, window_used_up, no_grant / Of the account as in `scenes`; of the person one of these',
    example: 'window_closed',
  })
  code: string;

  @ApiProperty({ example: '已超出客服消息的时间窗口或用户已取消关注，等用户再次互动后才能发送。' })
  detail: string;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: '自行解除的时间；null 表示不会 / When it changes by itself; null when it does not',
    example: null,
  })
  changesAt: Date | null;
}

class OpenWindowDto {
  @ApiProperty({ format: 'date-time', example: '2026-11-24T08:00:00.000Z' })
  until: Date;

  @ApiProperty({ example: 5 })
  left: number;
}

export class EligibilityDto {
  @ApiProperty({ example: true })
  eligible: boolean;

  @ApiProperty({ type: [EligibilityReasonDto], example: [] })
  reasons: EligibilityReasonDto[];

  @ApiProperty({
    type: OpenWindowDto,
    nullable: true,
    description:
      '客服消息窗口：全部有效窗口中还可发送的条数，以及其中最晚的结束时间 / Of customer-service messages: what all open windows allow, and when the last of them ends',
  })
  window: OpenWindowDto | null;
}

export function toPersonDto(person: PersonProfile['person']): PersonDto {
  const { openid, isFollower, firstFollowedAt, followedAt, followScene, unfollowedAt } = person;
  const { timesFollowed, lastInteractionAt, lastMessageAt } = person;
  const { blockedAt, blacklistedAt, unknownAt } = person;
  return {
    openid,
    following: isFollower,
    firstFollowedAt,
    followedAt,
    followScene,
    unfollowedAt,
    timesFollowed,
    lastInteractionAt,
    lastMessageAt,
    blockedAt,
    blacklistedAt,
    unknownAt,
  };
}

export function toProfileDto({ person, windows, grants }: PersonProfile): PersonProfileDto {
  return Object.assign(toPersonDto(person), {
    windows,
    grants: grants.map((grant) => {
      const { templateId, changedAt, rejectedAt } = grant;
      return { templateId, left: leftOf(grant), changedAt, rejectedAt };
    }),
  });
}

export function toEligibilityDto(
  { eligible, reasons, window }: Eligibility,
  lang: Lang,
): EligibilityDto {
  return {
    eligible,
    reasons: reasons.map(({ code, detail, changesAt }) => ({
      code,
      detail: inLang(detail, lang),
      changesAt,
    })),
    window,
  };
}
