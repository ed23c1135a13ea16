import { ApiProperty } from '@nestjs/swagger';

import { type KeyRotation, ROTATION_STATES, type RotationState } from './key-rotation.entity.js';

export class ColumnProgressDto {
  @ApiProperty({ example: 'token' })
  table: string;

  @ApiProperty({ example: 'refresh_token' })
  column: string;

  @ApiProperty({ description: '行数 / Rows', example: 1200 })
  total: number;

  @ApiProperty({ description: '本轮已检查的行数 / Rows looked at in this pass', example: 400 })
  done: number;

  @ApiProperty({
    description:
      '现有密钥都打不开的行数，保持原样 / Rows that no key of SECRET_KEYS opens; they stay as they are',
    example: 0,
  })
  unreadable: number;
}

export class KeyRotationDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  id: string;

  @ApiProperty({ description: '新密钥 / The key that everything is to be under', example: 'k2' })
  keyId: string;

  @ApiProperty({
    enum: ROTATION_STATES,
    description:
      'superseded：完成之前又以更新的密钥开始了另一次 / `superseded`: another one began under a newer key before it had ended',
    example: 'running',
  })
  state: RotationState;

  @ApiProperty({
    description:
      '第 1 轮重新加密，其后各轮确认没有遗漏 / The first pass re-encrypts, the others make sure that nothing was left out',
    example: 1,
  })
  pass: number;

  @ApiProperty({
    type: [String],
    description:
      '本轮仍遇到的密钥；finished 之后只剩 keyId 时，其余密钥可从 SECRET_KEYS 中移除' +
      ' / The keys that were met in this pass. Once it is `finished` and only `keyId` stands here, the others may leave SECRET_KEYS',
    example: ['k2', 'k1'],
  })
  keysInUse: string[];

  @ApiProperty({ format: 'date-time' })
  startedAt: Date;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  finishedAt: Date | null;

  @ApiProperty({ type: [ColumnProgressDto] })
  progress: ColumnProgressDto[];
}

export class KeyRotationPageDto {
  @ApiProperty({ type: [KeyRotationDto] })
  items: KeyRotationDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;
}

export function toKeyRotationDto(row: KeyRotation): KeyRotationDto {
  const { id, keyId, state, keysInUse, startedAt, finishedAt, progress } = row;
  return {
    id,
    keyId,
    state,
    pass: progress.pass,
    keysInUse,
    startedAt,
    finishedAt,
    progress: progress.columns.map(({ table, column, total, done, unreadable }) => ({
      table,
      column,
      total,
      done,
      unreadable,
    })),
  };
}
