import { ApiProperty } from '@nestjs/swagger';

class TicketDto {
  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: '2026-11-22T08:00:00.000Z',
    description: '最近一次收到的时间 / When the newest came',
  })
  receivedAt: Date | null;

  @ApiProperty({
    type: Number,
    nullable: true,
    example: 312,
    description: '距收到的秒数 / Seconds since it came',
  })
  ageSeconds: number | null;

  @ApiProperty({
    enum: ['fresh', 'late', 'expired', 'missing'],
    example: 'fresh',
    description:
      'late：超过 30 分钟；expired：超过 12 小时 / `late` after 30 minutes, `expired` after 12 hours',
  })
  state: 'fresh' | 'late' | 'expired' | 'missing';
}

class ComponentTokenDto {
  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: '2026-11-22T09:50:00.000Z',
  })
  expiresAt: Date | null;

  @ApiProperty({ enum: ['fresh', 'expired', 'missing'], example: 'fresh' })
  state: 'fresh' | 'expired' | 'missing';
}

class CallbackUrlsDto {
  @ApiProperty({
    example: 'https://channel.example.com/wechat/component/events',
    description: '控制台“授权事件接收配置” / For the console’s authorization events',
  })
  events: string;

  @ApiProperty({
    example: 'https://channel.example.com/wechat/accounts/$APPID$/messages',
    description: '控制台“消息与事件接收配置” / For the console’s messages and events',
  })
  messages: string;
}

class WarningDto {
  @ApiProperty({ example: 'ticket_late' })
  code: string;

  @ApiProperty({ example: '超过 30 分钟没有收到新的 ticket。' })
  detail: string;
}

export class ComponentDto {
  @ApiProperty({ example: 'wx0c0ffee0c0ffee00' })
  appid: string;

  @ApiProperty({ type: TicketDto })
  ticket: TicketDto;

  @ApiProperty({ type: ComponentTokenDto })
  accessToken: ComponentTokenDto;

  @ApiProperty({ type: CallbackUrlsDto })
  callbackUrls: CallbackUrlsDto;

  @ApiProperty({
    example: 'channel.example.com',
    description: '控制台“授权发起页域名” / For the console’s launch page domain',
  })
  launchPageDomain: string;

  @ApiProperty({ type: [WarningDto] })
  warnings: WarningDto[];
}
