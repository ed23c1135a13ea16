import { ApiProperty } from '@nestjs/swagger';

/** Shorter ones would be half told by their end. */
const SHORTEST_HINTED = 12;
const HINT_LENGTH = 4;

/** What may be seen of a secret that is kept: whether there is one, and its end. */
export class SetSecretDto {
  @ApiProperty({ description: '是否已设置 / Whether there is one', example: true })
  set: boolean;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '末 4 位；过短的不显示 / Its last four characters; none of a short one',
    example: '…x7Kq',
  })
  hint: string | null;
}

/** @param secret null when there is none */
export function toSetSecretDto(secret: string | null): SetSecretDto {
  const isHinted = secret !== null && secret.length >= SHORTEST_HINTED;
  return { set: secret !== null, hint: isHinted ? `…${secret.slice(-HINT_LENGTH)}` : null };
}
