import {
  fieldRule,
  readFieldExamples,
  TEMPLATE_FIELD_TYPES,
  type TemplateField,
  type TemplateFieldType,
} from '@app/wechat';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional } from 'class-validator';

import { inLang, type Lang } from '../../common/text.js';
import { type Template, TEMPLATE_KINDS, type TemplateKind } from './template-list.entity.js';
import type { ReadTemplates } from './templates.service.js';

const CONSENTS = ['one_time', 'long_term'] as const;

/** Without examples, which Swagger UI would send in a query. */
export class ListTemplatesDto {
  @ApiPropertyOptional({
    enum: TEMPLATE_KINDS,
    description: '不填为该账号所支持的类型 / By default the one that the account has',
  })
  @IsOptional()
  @IsIn(TEMPLATE_KINDS)
  kind?: TemplateKind;

  @ApiPropertyOptional({
    enum: ['true', 'false'],
    description:
      'true 向微信重新读取，每个账号每分钟最多一次 / `true` reads them from WeChat again, once a minute for an account at the most',
  })
  @IsOptional()
  @IsIn(['true', 'false'])
  refresh?: 'true' | 'false';
}

export class TemplateFieldDto {
  @ApiProperty({
    description: '消息 data 中的键 / The key in `data` of a message',
    example: 'thing1',
  })
  key: string;

  @ApiProperty({
    type: String,
    nullable: true,
    enum: TEMPLATE_FIELD_TYPES,
    description:
      '微信的字段类型；null 为旧模板的字段 / WeChat’s type; null for a field of an old template',
    example: 'thing',
  })
  type: TemplateFieldType | null;

  @ApiProperty({ description: '字段前的文字，可为空 / What stands before it', example: '订单编号' })
  label: string;

  @ApiProperty({ example: true })
  required: boolean;

  @ApiProperty({
    type: [String],
    nullable: true,
    description: '只能取这些值；null 为不限 / The only values; null where there are others',
    example: null,
  })
  values: string[] | null;

  @ApiProperty({ description: '填写规则 / What it takes', example: '20 个以内字符' })
  rule: string;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '模板样例中的值 / The value in the template’s sample',
    example: 'SO20260801',
  })
  example: string | null;
}

export class TemplateDto {
  @ApiProperty({ example: 'etU2Ly-ScRhOQv4ZrkZM5NoC__zMlf0pkdVrsW7C1xA' })
  templateId: string;

  @ApiProperty({ example: '订单发货通知' })
  title: string;

  @ApiProperty({
    description: '带占位符的正文 / The text with its placeholders',
    example: '订单编号：{{character_string1.DATA}}\n备注：{{thing2.DATA}}\n',
  })
  content: string;

  @ApiProperty({
    description: '微信的样例，可为空 / WeChat’s sample, may be empty',
    example: '订单编号：SO20260801\n备注：请留意查收\n',
  })
  example: string;

  @ApiPropertyOptional({
    enum: CONSENTS,
    description:
      '仅订阅消息：一次性或长期订阅 / Of subscription messages only: whether each consent is good for one message',
    example: 'one_time',
  })
  consent?: (typeof CONSENTS)[number];

  @ApiProperty({ type: [TemplateFieldDto] })
  fields: TemplateFieldDto[];
}

export class TemplateListDto {
  @ApiProperty({ type: [TemplateDto] })
  items: TemplateDto[];

  @ApiProperty({
    format: 'date-time',
    description: '从微信读取的时间 / When WeChat said so',
    example: '2026-11-22T08:00:00.000Z',
  })
  readAt: Date;
}

export function toTemplateListDto({ items, readAt }: ReadTemplates, lang: Lang): TemplateListDto {
  return { items: items.map((template) => toTemplateDto(template, lang)), readAt };
}

function toTemplateDto(template: Template, lang: Lang): TemplateDto {
  const { templateId, title, content, example, fields } = template;
  const examples = readFieldExamples(content, example);
  return {
    templateId,
    title,
    content,
    example,
    ...('consent' in template && { consent: template.consent }),
    fields: fields.map((field) => toFieldDto(field, examples.get(field.key) ?? null, lang)),
  };
}

function toFieldDto(field: TemplateField, example: string | null, lang: Lang): TemplateFieldDto {
  const { key, type, label, values, isRequired } = field;
  const rule = inLang(fieldRule(field), lang);
  return { key, type, label, required: isRequired, values, rule, example };
}
