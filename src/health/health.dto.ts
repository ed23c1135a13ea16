import { ApiProperty } from '@nestjs/swagger';

export class LiveDto {
  @ApiProperty({ enum: ['ok'], example: 'ok' })
  status: 'ok';
}

class ComponentReadinessDto {
  @ApiProperty({ enum: ['fresh', 'late', 'expired', 'missing'], example: 'fresh' })
  ticket: string;

  @ApiProperty({ enum: ['fresh', 'expired', 'missing'], example: 'fresh' })
  accessToken: string;
}

export class ReadinessDto {
  @ApiProperty({ enum: ['ready', 'unready'], example: 'ready' })
  status: 'ready' | 'unready';

  @ApiProperty({ enum: ['up', 'down'], example: 'up' })
  database: 'up' | 'down';

  @ApiProperty({ type: ComponentReadinessDto, nullable: true })
  component: ComponentReadinessDto | null;

  @ApiProperty({ type: [String], example: [], description: '还缺什么 / What is not there yet' })
  missing: string[];
}
