import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, Length, Matches } from 'class-validator';

import { ASKED_TYPES, type AskedType } from './authorization.entity.js';

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
  @Matches(/^[A-Za-z_][A-Za-z0-9_.-]*$/)
  openidProperty?: string;
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

export class AuthorizationDto {
  @ApiProperty({ example: 'q4yXh3l1sZ8pK0d7Vb2nT5mRwC9uEaGfJoLiHxYtB6Q' })
  id: string;

  @ApiProperty({ enum: ['pending', 'completed', 'failed', 'expired'], example: 'completed' })
  status: 'pending' | 'completed' | 'failed' | 'expired';

  @ApiProperty({ type: AuthorizedAccountDto, nullable: true })
  account: AuthorizedAccountDto | null;

  @ApiProperty({ type: AuthorizationFailureDto, nullable: true, example: null })
  failure: AuthorizationFailureDto | null;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:30:00.000Z' })
  expiresAt: Date;
}
