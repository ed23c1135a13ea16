import type { EncryptionMode, PushRefusal } from '@app/wechat';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, Matches } from 'class-validator';

import { SetSecretDto, toSetSecretDto } from '../common/set-secret.js';
import { inLang, type Lang } from '../common/text.js';
import { RECEIPT_SOURCES, type ReceiptSource } from './receipt-config.entity.js';
import type { OpenedReceiptConfig } from './receipt-configs.service.js';
import { REJECTIONS } from './rejections.js';

const ENCRYPTION_MODES = ['plaintext', 'compatible', 'secure'] as const satisfies EncryptionMode[];
const TOKEN = /^[A-Za-z0-9]{3,32}$/;
const ENCODING_AES_KEY = /^[A-Za-z0-9]{43}$/;
const SOURCE_DESCRIPTION =
  '谁向接收地址推送：微信（wechat），或原样转发微信推送的第三方（third_party） / Who sends to the address: WeChat, or a third party that forwards WeChat’s pushes untouched';
const MODE_DESCRIPTION =
  '明文、兼容或安全模式，须与微信控制台一致 / As in WeChat’s console: 明文, 兼容, 安全';
const REASONS = Object.keys(REJECTIONS) as PushRefusal[];

class RejectionDto {
  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  at: Date;

  @ApiProperty({ enum: REASONS, example: 'signature' })
  reason: PushRefusal;

  @ApiProperty({
    description: '处理建议 / What to do next',
    example: '对方以另一个 Token 签名，或内容在途中被改动。请核对两边的 Token 完全一致。',
  })
  detail: string;
}

export class ReceiptConfigDto {
  @ApiProperty({
    description:
      '接收地址：填到微信控制台的 URL，或交给转发方 / The address to enter in WeChat’s console, or to give to the forwarder',
    example:
      'https://channel.example.com/wechat/receipts/q4yXh3l1sZ8pK0d7Vb2nT5mRwC9uEaGfJoLiHxYtB6Q',
  })
  receiptUrl: string;

  @ApiProperty({ enum: RECEIPT_SOURCES, description: SOURCE_DESCRIPTION, example: 'wechat' })
  source: ReceiptSource;

  @ApiProperty({ enum: ENCRYPTION_MODES, description: MODE_DESCRIPTION, example: 'secure' })
  encryptionMode: EncryptionMode;

  @ApiProperty({ type: SetSecretDto })
  token: SetSecretDto;

  @ApiProperty({ type: SetSecretDto })
  encodingAesKey: SetSecretDto;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description:
      '最近一次地址校验通过的时间 / When WeChat last tried the address and found it right',
    example: '2026-11-22T08:00:00.000Z',
  })
  handshakeVerifiedAt: Date | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: '最近一次收到有效推送的时间 / When the last good push came',
    example: '2026-11-22T08:00:00.000Z',
  })
  lastReceivedAt: Date | null;

  @ApiProperty({
    type: RejectionDto,
    nullable: true,
    description: '最近一次被拒绝的推送及原因 / The last push that was refused, and why',
  })
  lastRejection: RejectionDto | null;
}

/** What is left out stays as it is. */
export class SaveReceiptConfigDto {
  @ApiPropertyOptional({
    enum: RECEIPT_SOURCES,
    description: SOURCE_DESCRIPTION,
    example: 'wechat',
  })
  @IsOptional()
  @IsIn(RECEIPT_SOURCES)
  source?: ReceiptSource;

  @ApiPropertyOptional({ enum: ENCRYPTION_MODES, description: MODE_DESCRIPTION, example: 'secure' })
  @IsOptional()
  @IsIn(ENCRYPTION_MODES)
  encryptionMode?: EncryptionMode;

  @ApiPropertyOptional({
    pattern: TOKEN.source,
    description:
      '3–32 位字母或数字；不填则沿用已保存的 / 3..32 letters or digits; left out, the saved one stays',
    example: 'exampleToken2026',
  })
  @IsOptional()
  @Matches(TOKEN)
  token?: string | null;

  @ApiPropertyOptional({
    pattern: ENCODING_AES_KEY.source,
    description:
      '43 位字母或数字；明文模式可不填，不填则沿用已保存的 / 43 letters or digits, not needed for plaintext; left out, the saved one stays',
    example: 'QwErTyUiOpAsDfGhJkLzXcVbNm1234567890qWeRtYu',
  })
  @IsOptional()
  @Matches(ENCODING_AES_KEY)
  encodingAesKey?: string | null;
}

export class ReceiptSecretsDto {
  @ApiProperty({ example: 'mT4vQ8sZ1xK6bN3cR7yW2pL9dF5gH0jA' })
  token: string;

  @ApiProperty({ example: 'QwErTyUiOpAsDfGhJkLzXcVbNm1234567890qWeRtYu' })
  encodingAesKey: string;
}

export function toReceiptConfigDto(opened: OpenedReceiptConfig, lang: Lang): ReceiptConfigDto {
  const { config, receiptUrl, token, encodingAesKey } = opened;
  const { source, encryptionMode, handshakeVerifiedAt, lastReceivedAt } = config;
  const { rejectedAt: at, rejectionReason: reason } = config;
  return {
    receiptUrl,
    source,
    encryptionMode,
    token: toSetSecretDto(token),
    encodingAesKey: toSetSecretDto(encodingAesKey),
    handshakeVerifiedAt,
    lastReceivedAt,
    lastRejection: at && reason && { at, reason, detail: inLang(REJECTIONS[reason], lang) },
  };
}
