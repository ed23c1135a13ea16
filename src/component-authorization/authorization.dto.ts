import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsIn,
  IsInt,
  IsOptional,
  Length,
  Matches,
  Max,
  Min,
} from 'class-validator';

import { PermissionRefDto } from '../accounts/account.dto.js';
import { PROPERTY_NAME } from '../accounts/user-properties/openid-property.js';
import { ASKED_TYPES, type AskedType, type Authorization } from './authorization.entity.js';

export class CreateAuthorizationDto {
  @ApiProperty({
    enum: ASKED_TYPES,
    example: 'official_account',
    description: '可选择的账号类型 / Which accounts may be chosen',
  })
  @IsIn(ASKED_TYPES)
  accountType: AskedType;

  @ApiPropertyOptional({
    example: 'wx1badb002feedface',
    description: '只允许该账号（更新授权） / Only this account: updates its authorization',
  })
  @IsOptional()
  @Matches(/^wx[0-9A-Za-z]{4,30}$/)
  appid?: string;

  @ApiPropertyOptional({
    example: 'wx_openid_flower_shop',
    description: '授权成功后设置的 OpenID 属性 / The OpenID property to set on the account',
  })
  @IsOptional()
  @Length(1, 128)
  @Matches(PROPERTY_NAME)
  openidProperty?: string;
}

export class CreateReauthorizationDto {
  @ApiPropertyOptional({
    type: [Number],
    example: [7],
    description:
      '只显示这些权限集，如 enable-checks 的 missing；不填为全部 / Only these permission sets are shown, e.g. `missing` of enable-checks; without it, all',
  })
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(50)
  @ArrayUnique()
  @IsInt({ each: true })
  @Min(1, { each: true })
  @Max(10_000, { each: true })
  permissionIds?: number[];
}

export class CreatedAuthorizationDto {
  @ApiProperty({ example: 'q4yXh3l1sZ8pK0d7Vb2nT5mRwC9uEaGfJoLiHxYtB6Q' })
  id: string;

  @ApiProperty({ enum: ['pending'], example: 'pending' })
  status: 'pending';

  @ApiProperty({
    example: 'https://channel.example.com/authorize/q4yXh3l1sZ8pK0d7Vb2nT5mRwC9uEaGfJoLiHxYtB6Q',
    description:
      '请账号管理员在电脑上打开 / To be opened by the account’s administrator on a desktop',
  })
  launchUrl: string;

  @ApiProperty({
    example:
      'https://channel.example.com/authorize/q4yXh3l1sZ8pK0d7Vb2nT5mRwC9uEaGfJoLiHxYtB6Q?form=phone',
    description:
      '同一页面的手机版，在微信中打开 / The same page for a phone, to be opened in WeChat',
  })
  mobileUrl: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:30:00.000Z' })
  expiresAt: Date;
}

class AuthorizedAccountDto {
  @ApiProperty({ example: 'wx1badb002feedface' })
  appid: string;

  @ApiProperty({ example: '示例花店' })
  nickname: string;

  @ApiProperty({ enum: ['official_account', 'mini_program'], example: 'official_account' })
  accountType: 'official_account' | 'mini_program';
}

class AuthorizationFailureDto {
  @ApiProperty({
    example: 'wrong_account',
    description:
      'authorization_code_expired, authorization_code_invalid, authorization_lost, wrong_account, account_held_elsewhere, wechat_error',
  })
  code: string;

  @ApiProperty({
    example: '授权的不是指定的账号。请用指定账号的管理员微信重新扫码，并选择该账号。',
  })
  detail: string;
}

class PermissionChangeDto {
  @ApiProperty({ type: [PermissionRefDto], example: [{ id: 7, name: '群发与通知' }] })
  gained: PermissionRefDto[];

  @ApiProperty({ type: [PermissionRefDto], example: [] })
  lost: PermissionRefDto[];
}

export class AuthorizationDto {
  @ApiProperty({ example: 'q4yXh3l1sZ8pK0d7Vb2nT5mRwC9uEaGfJoLiHxYtB6Q' })
  id: string;

  @ApiProperty({ enum: ['pending', 'completed', 'failed', 'expired'], example: 'completed' })
  status: 'pending' | 'completed' | 'failed' | 'expired';

  @ApiProperty({ type: AuthorizedAccountDto, nullable: true })
  account: AuthorizedAccountDto | null;

  @ApiProperty({ type: AuthorizationFailureDto, nullable: true, example: null })
  failure: AuthorizationFailureDto | null;

  @ApiProperty({
    type: PermissionChangeDto,
    nullable: true,
    description:
      '更新授权时权限的增减；首次授权或尚未完成为 null / What came and went when an authorization was updated; null for a first one, and until it is done',
    example: null,
  })
  permissions: PermissionChangeDto | null;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:30:00.000Z' })
  expiresAt: Date;
}

export function toCreatedDto(
  { id, expiresAt }: Authorization,
  publicUrl: string,
): CreatedAuthorizationDto {
  const launchUrl = `${publicUrl}/authorize/${id}`;
  return { id, status: 'pending', launchUrl, mobileUrl: `${launchUrl}?form=phone`, expiresAt };
}
