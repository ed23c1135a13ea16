import { ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsObject,
  IsString,
  Length,
  Matches,
  ValidateNested,
} from 'class-validator';

import { PROPERTY_NAME } from './openid-property.js';

const MAX_PROPERTIES = 2_000;

export class NewUserPropertyDto {
  @ApiProperty({
    example: 'wx_openid_flower_shop',
    description: '属性名，1–128 个字符 / Name, 1..128 characters',
    pattern: PROPERTY_NAME.source,
  })
  @Length(1, 128)
  @Matches(PROPERTY_NAME)
  name: string;

  @ApiProperty({ example: '示例花店 OpenID', description: '显示名 / What people call it' })
  @IsString()
  @Length(0, 255)
  displayName: string;

  @ApiProperty({
    example: 'string',
    description:
      '平台自己的类型名；string 与 text（不分大小写）视为文本，可存放 OpenID / The platform’s own word; `string` and `text`, in any case, are texts and can hold openids',
  })
  @Length(1, 32)
  dataType: string;
}

export class UserPropertyDto extends NewUserPropertyDto {
  @ApiProperty({
    type: String,
    nullable: true,
    example: 'wx1badb002feedface',
    description: '以它存放 OpenID 的账号 / The account whose openids it holds',
  })
  usedBy: string | null;
}

export class UserPropertiesDto {
  @ApiProperty({ type: [UserPropertyDto] })
  properties: UserPropertyDto[];
}

export class ReplaceUserPropertiesDto {
  @ApiProperty({
    type: [NewUserPropertyDto],
    description: '完整目录，替换原有内容 / The whole catalogue, in place of the former one',
    maxItems: MAX_PROPERTIES,
    example: [
      { name: 'wx_openid_flower_shop', displayName: '示例花店 OpenID', dataType: 'string' },
      { name: 'birthday', displayName: '生日', dataType: 'datetime' },
    ],
  })
  @IsArray()
  @ArrayMaxSize(MAX_PROPERTIES)
  @IsObject({ each: true })
  @ValidateNested({ each: true })
  @Type(() => NewUserPropertyDto)
  properties: NewUserPropertyDto[];
}

export class CatalogueDiffDto {
  @ApiProperty({ type: [String], example: ['wx_openid_flower_shop'] })
  added: string[];

  @ApiProperty({ type: [String], example: [] })
  removed: string[];

  @ApiProperty({
    type: [String],
    example: [],
    description: '显示名或类型变化 / Another display name or type',
  })
  changed: string[];

  @ApiProperty({ example: 311 })
  unchanged: number;
}
