import { ApiProperty } from '@nestjs/swagger';

/** Of shorter ones the end would give too much away. */
const SHORTEST_HINTED = 16;
const SHOWN = 4;

/** What is shown of a secret that is kept. */
export class SecretHintDto {
  @ApiProperty({ description: '是否已设置 / Whether there is one', example: true })
  set: boolean;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '末 4 位，较短的不显示 / Its last 4 characters; of a short one nothing',
    example: '…cdef',
  })
  hint: string | null;
}

export function hintOf(secret: string): SecretHintDto {
  return { set: true, hint: secret.length < SHORTEST_HINTED ? '…' : `…${secret.slice(-SHOWN)}` };
}
