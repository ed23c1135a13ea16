import { ApiProperty, ApiPropertyOptional, getSchemaPath } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsObject,
  IsOptional,
  Length,
  Matches,
  Max,
  Min,
  ValidateIf,
  ValidateNested,
} from 'class-validator';

import { LeftOut } from '../common/left-out.js';
import { PageQueryDto } from '../common/paging.js';
import { QueryBoolean } from '../common/query-boolean.js';
import { BodyTime } from '../common/query-time.js';
import { inLang, type Lang } from '../common/text.js';
import {
  type AnyMessageDto,
  MESSAGE_DTOS,
} from '../messages/kinds/customer-service-message.dto.js';
import { REPLY_MODES, type ReplyMode } from './auto-reply.entity.js';
import type { SavedRule } from './auto-replies.service.js';
import type { Conflict } from './conflicts.js';
import type { DailySpan } from './hours.js';
import { KEYWORD_MATCHES, type KeywordMatch, type Trigger } from './matching.js';

const MAX_KEYWORDS = 10;
const MAX_REPLIES = 5;
const MAX_PRIORITY = 1_000_000;
const MONTH_SECONDS = 31 * 86_400;
const TIME_OF_DAY = /^(?:[01]\d|2[0-3]):[0-5]\d$/;
const TIME_MESSAGE = '$property must be a time of day such as 09:00';
const TRIGGERS = ['keyword', 'follow', 'message'] as const;
/** WeChat's words. */
export const MESSAGE_TYPES = [
  'text',
  'image',
  'voice',
  'video',
  'shortvideo',
  'location',
  'link',
  'miniprogrampage',
  'file',
];

class KeywordDto {
  @ApiProperty({
    description: '不区分大小写与全角半角，忽略首尾空白 / Without case, width and spaces around',
    example: '优惠',
  })
  @Length(1, 64)
  text: string;

  @ApiProperty({ enum: KEYWORD_MATCHES, example: 'contains' })
  @IsIn(KEYWORD_MATCHES)
  match: KeywordMatch;
}

export class TriggerDto {
  @ApiProperty({
    enum: TRIGGERS,
    description:
      'keyword 关键词；follow 被关注；message 收到消息且没有关键词规则回复 / A keyword in a text, a new follower, or any message that no keyword rule answers',
    example: 'keyword',
  })
  @IsIn(TRIGGERS)
  type: Trigger['type'];

  @ApiPropertyOptional({
    type: [KeywordDto],
    description: 'keyword 必填，1–10 个 / 1..10, for `keyword`',
  })
  @ValidateIf(({ type }: TriggerDto) => type === 'keyword')
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_KEYWORDS)
  @IsObject({ each: true })
  @ValidateNested({ each: true })
  @Type(() => KeywordDto)
  keywords?: KeywordDto[];

  @ApiPropertyOptional({
    enum: MESSAGE_TYPES,
    isArray: true,
    description:
      'message 可选，只回复这些类型，不填为全部 / For `message`: only these types; left out, all',
    example: ['text', 'image'],
  })
  @LeftOut()
  @IsArray()
  @ArrayUnique()
  @IsIn(MESSAGE_TYPES, { each: true })
  messageTypes?: string[];
}

export class DailySpanDto implements DailySpan {
  @ApiProperty({ pattern: TIME_OF_DAY.source, example: '22:00' })
  @Matches(TIME_OF_DAY, { message: TIME_MESSAGE })
  from: string;

  @ApiProperty({
    pattern: TIME_OF_DAY.source,
    description: '不含；早于 from 表示次日 / Not included; earlier than `from`, the next day',
    example: '08:00',
  })
  @Matches(TIME_OF_DAY, { message: TIME_MESSAGE })
  to: string;
}

export class FrequencyCapDto {
  @ApiProperty({ minimum: 1, maximum: 1_000, example: 1 })
  @IsInt()
  @Min(1)
  @Max(1_000)
  count: number;

  @ApiProperty({
    minimum: 1,
    maximum: MONTH_SECONDS,
    description: '从其中第一次回复起算 / Counted from the first answer in it',
    example: 3_600,
  })
  @IsInt()
  @Min(1)
  @Max(MONTH_SECONDS)
  perSeconds: number;
}

const TRIGGER = { type: 'keyword', keywords: [{ text: '优惠', match: 'contains' }] };

export const REPLIES = {
  type: 'array',
  minItems: 1,
  maxItems: MAX_REPLIES,
  items: { oneOf: Object.values(MESSAGE_DTOS).map((form) => ({ $ref: getSchemaPath(form) })) },
  description:
    '客服消息对象，mediaId 为本服务的素材。文字中可用 {time} {date} {account} {keyword}。第一条（文字、图片、语音、视频、音乐、图文）在应答中被动回复，其余作为客服消息依次发送 / Customer-service messages, with media of ours. Their texts may name {time}, {date}, {account} and {keyword}. The first one, where it is a text, image, voice, video, music or news, stands in the response; the others follow as customer-service messages, in their order',
  example: [{ type: 'text', text: '您好，{account}的优惠在这里：https://m.example.com/sale' }],
} as const;

export class SaveAutoReplyDto {
  @ApiProperty({ example: '优惠咨询' })
  @Length(1, 64)
  name: string;

  @ApiProperty({ type: TriggerDto, example: TRIGGER })
  @IsObject()
  @ValidateNested()
  @Type(() => TriggerDto)
  trigger: TriggerDto;

  @ApiProperty(REPLIES)
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_REPLIES)
  @IsObject({ each: true })
  replies: object[];

  @ApiPropertyOptional({
    enum: REPLY_MODES,
    default: 'all',
    description: '全部回复，或随机一条 / All of them, or one at random',
    example: 'all',
  })
  @LeftOut()
  @IsIn(REPLY_MODES)
  mode?: ReplyMode;

  @ApiPropertyOptional({
    minimum: -MAX_PRIORITY,
    maximum: MAX_PRIORITY,
    default: 0,
    description: '大的优先 / The larger ones are asked first',
    example: 0,
  })
  @LeftOut()
  @IsInt()
  @Min(-MAX_PRIORITY)
  @Max(MAX_PRIORITY)
  priority?: number;

  @BodyTime('从此时起生效 / From then on')
  activeFrom?: Date | null;

  @BodyTime('到此时为止，不含 / Until then, not included')
  activeTo?: Date | null;

  @ApiPropertyOptional({
    type: DailySpanDto,
    nullable: true,
    description: '每日生效时段，北京时间 / The hours of each day, in Beijing time',
    example: { from: '09:00', to: '21:00' },
  })
  @IsOptional()
  @IsObject()
  @ValidateNested()
  @Type(() => DailySpanDto)
  dailyWindow?: DailySpanDto | null;

  @ApiPropertyOptional({
    type: DailySpanDto,
    nullable: true,
    description: '免打扰时段，北京时间，其间不回复 / When it is silent, in Beijing time',
    example: { from: '12:00', to: '13:00' },
  })
  @IsOptional()
  @IsObject()
  @ValidateNested()
  @Type(() => DailySpanDto)
  quietHours?: DailySpanDto | null;

  @ApiPropertyOptional({
    type: FrequencyCapDto,
    nullable: true,
    description:
      '每人频次上限；有上限的规则全部以客服消息回复 / So often for one person; a rule with a cap answers by customer-service messages only',
    example: { count: 1, perSeconds: 3_600 },
  })
  @IsOptional()
  @IsObject()
  @ValidateNested()
  @Type(() => FrequencyCapDto)
  frequencyCap?: FrequencyCapDto | null;

  @ApiPropertyOptional({ default: true, example: true })
  @LeftOut()
  @IsBoolean()
  enabled?: boolean;
}

export const RULE_EXAMPLES = {
  keyword: {
    summary: '关键词回复 / A keyword',
    value: {
      name: '优惠咨询',
      trigger: {
        type: 'keyword',
        keywords: [
          { text: '优惠', match: 'contains' },
          { text: '618', match: 'exact' },
        ],
      },
      replies: [
        { type: 'text', text: '您好，{account}的优惠在这里：https://m.example.com/sale' },
        {
          type: 'news',
          title: '秋季新品',
          description: '点击查看',
          url: 'https://m.example.com/autumn',
          imageUrl: 'https://cdn.example.com/autumn.jpg',
        },
      ],
      mode: 'all',
      priority: 10,
      enabled: true,
    },
  },
  follow: {
    summary: '被关注回复 / A new follower',
    value: {
      name: '欢迎',
      trigger: { type: 'follow' },
      replies: [{ type: 'text', text: '欢迎关注{account}！回复“优惠”查看活动。' }],
    },
  },
  message: {
    summary: '收到消息回复 / Any other message',
    value: {
      name: '夜间留言',
      trigger: { type: 'message', messageTypes: ['text', 'image', 'voice'] },
      replies: [{ type: 'text', text: '现在是{time}，客服将在上午九点后回复您。' }],
      dailyWindow: { from: '21:00', to: '09:00' },
      frequencyCap: { count: 1, perSeconds: 3_600 },
    },
  },
};

class AutoReplyStatsDto {
  @ApiProperty({ description: '回复次数 / Answers', example: 128 })
  hits: number;

  @ApiProperty({ description: '回复过的人数 / Different people', example: 97 })
  people: number;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: '2026-11-22T08:00:00.000Z',
  })
  lastHitAt: Date | null;
}

class ConflictDto {
  @ApiProperty({
    enum: ['same_keyword', 'never_matches', 'hides_rule', 'too_many_for_window'],
    example: 'same_keyword',
  })
  code: Conflict['code'];

  @ApiProperty({
    example:
      '关键词“优惠”也在规则“双十一”中，只有一条会回复：priority 大的优先，其次完全匹配，再次较早创建的。',
  })
  detail: string;

  @ApiProperty({
    type: String,
    nullable: true,
    description:
      '与之冲突的规则，最多列出五条；为空表示与其他规则无关 / The other rule, of which five are named at the most; null where it is about this one alone',
    example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a002',
  })
  ruleId: string | null;
}

export class AutoReplyDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  id: string;

  @ApiProperty({ example: '优惠咨询' })
  name: string;

  @ApiProperty({ type: TriggerDto, example: TRIGGER })
  trigger: Trigger;

  @ApiProperty(REPLIES)
  replies: AnyMessageDto[];

  @ApiProperty({ enum: REPLY_MODES, example: 'all' })
  mode: ReplyMode;

  @ApiProperty({ example: 0 })
  priority: number;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  activeFrom: Date | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  activeTo: Date | null;

  @ApiProperty({ type: DailySpanDto, nullable: true })
  dailyWindow: DailySpan | null;

  @ApiProperty({ type: DailySpanDto, nullable: true })
  quietHours: DailySpan | null;

  @ApiProperty({ type: FrequencyCapDto, nullable: true })
  frequencyCap: FrequencyCapDto | null;

  @ApiProperty({ example: true })
  enabled: boolean;

  @ApiProperty({ type: AutoReplyStatsDto })
  stats: AutoReplyStatsDto;

  @ApiProperty({
    type: [ConflictDto],
    description:
      '可能并非本意之处，不影响保存；hides_rule 只在单条查看与保存时给出 / What is probably not meant; it is saved all the same. `hides_rule` is told of single rules only, not in lists',
  })
  conflicts: ConflictDto[];

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  createdAt: Date;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  updatedAt: Date;
}

export class AutoReplyPageDto {
  @ApiProperty({ type: [AutoReplyDto] })
  items: AutoReplyDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;
}

export class ListAutoRepliesDto extends PageQueryDto {
  @ApiPropertyOptional({ description: '名称或关键词的一部分 / A part of the name or of a keyword' })
  @IsOptional()
  @Length(1, 64)
  q?: string;

  @ApiPropertyOptional({ enum: TRIGGERS })
  @IsOptional()
  @IsIn(TRIGGERS)
  trigger?: Trigger['type'];

  @ApiPropertyOptional({ type: Boolean })
  @IsOptional()
  @QueryBoolean()
  enabled?: boolean;
}

export function toTrigger({ type, keywords = [], messageTypes }: TriggerDto): Trigger {
  switch (type) {
    case 'keyword':
      return { type, keywords: keywords.map(({ text, match }) => ({ text, match })) };
    case 'follow':
      return { type };
    case 'message':
      return { type, ...(messageTypes && { messageTypes }) };
  }
}

export function toAutoReplyDto({ rule, stat, conflicts }: SavedRule, lang: Lang): AutoReplyDto {
  const { id, name, trigger, replies, mode, priority, enabled } = rule;
  const { activeFrom, activeTo, dailyWindow, quietHours, frequencyCap } = rule;
  const { createdAt, updatedAt } = rule;
  return {
    ...{ id, name, trigger, replies, mode, priority },
    ...{ activeFrom, activeTo, dailyWindow, quietHours, frequencyCap, enabled },
    stats: {
      hits: stat?.hits ?? 0,
      people: stat?.people ?? 0,
      lastHitAt: stat?.lastHitAt ?? null,
    },
    conflicts: conflicts.map(({ code, detail, ruleId }) => ({
      ...{ code, ruleId },
      detail: inLang(detail, lang),
    })),
    ...{ createdAt, updatedAt },
  };
}
