import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Param,
  Post,
  Put,
  Query,
  UseGuards,
} from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../../access/roles.js';
import { ApiProblems } from '../../common/api-docs.js';
import { PageQueryDto } from '../../common/paging.js';
import { ShownOnce } from '../../common/route-config.js';
import {
  CreatedWebhookDto,
  ListWebhookDeliveriesDto,
  ReplayDto,
  ReplayedDto,
  RotatedSecretDto,
  SaveWebhookDto,
  toWebhookDeliveryDto,
  toWebhookDto,
  WebhookDeliveryPageDto,
  WebhookDto,
  WebhookPageDto,
  WebhookTestDto,
} from './webhook.dto.js';
import { VisibleWebhookGuard } from './visible-webhook.guard.js';
import { WebhooksService } from './webhooks.service.js';

@ApiTags('事件 Events')
@Controller('api/v1/webhooks')
export class WebhooksController {
  constructor(private readonly webhooks: WebhooksService) {}

  @Get()
  @RequireRole('viewer')
  @ApiOperation({
    summary: 'Webhook 列表 / List the webhooks',
    description: '最新的在前，不含签名密钥。 The newest first, without their secrets.',
  })
  @ApiOkResponse({ type: WebhookPageDto })
  @ApiProblems('invalid_query')
  async list(
    @CurrentCaller() caller: Caller,
    @Query() query: PageQueryDto,
  ): Promise<WebhookPageDto> {
    const { items, nextCursor } = await this.webhooks.list(caller, query);
    return { items: items.map(toWebhookDto), nextCursor };
  }

  @Post()
  @RequireRole('admin')
  @ShownOnce('secret')
  @ApiOperation({
    summary: '新建 Webhook / Make a webhook',
    description:
      '把本租户此后的事件以 POST 送到该地址，按 Standard Webhooks 签名（webhook-id、webhook-timestamp、webhook-signature）。至少送达一次，重复时 webhook-id 不变；同一主体的事件按序号 sequence 依次送达。失败后约 5 秒、5 分钟、30 分钟、2、5、10、10 小时重试；410 或连续五天失败会自动停用。' +
      ' Events of the tenant from now on are POSTed to the address, signed after the Standard Webhooks specification. At least once, with the same `webhook-id` each time; those of one subject in their order, numbered by `sequence`. Tried again after about 5 s, 5 min, 30 min, 2, 5, 10 and 10 h; a 410, or five days of failure, switch it off.',
  })
  @ApiCreatedResponse({ type: CreatedWebhookDto })
  @ApiProblems('malformed_body', 'validation_failed')
  async create(
    @CurrentCaller() caller: Caller,
    @Body() wanted: SaveWebhookDto,
  ): Promise<CreatedWebhookDto> {
    const { webhook, secret } = await this.webhooks.create(caller, wanted);
    return { ...toWebhookDto(webhook), secret };
  }

  @Put(':id')
  @RequireRole('admin')
  @UseGuards(VisibleWebhookGuard)
  @ApiOperation({
    summary: '修改 Webhook / Change a webhook',
    description:
      '重新启用后从停用处继续，不会遗漏 7 天内的事件。 Switched on again, it goes on where it was; nothing of the last 7 days is left out.',
  })
  @ApiOkResponse({ type: WebhookDto })
  @ApiProblems('malformed_body', 'not_found', 'validation_failed')
  async update(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() wanted: SaveWebhookDto,
  ): Promise<WebhookDto> {
    return toWebhookDto(await this.webhooks.update(caller, id, wanted));
  }

  @Delete(':id')
  @HttpCode(204)
  @RequireRole('admin')
  @ApiOperation({ summary: '删除 Webhook / Delete a webhook' })
  @ApiNoContentResponse({ description: '已删除 / It is gone' })
  @ApiProblems('not_found')
  async delete(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    await this.webhooks.delete(caller, id);
  }

  @Post(':id/rotate-secret')
  @HttpCode(200)
  @RequireRole('admin')
  @ShownOnce('secret')
  @ApiOperation({
    summary: '更换签名密钥 / Make another secret',
    description: '24 小时内新旧密钥都参与签名。 For 24 hours both sign.',
  })
  @ApiOkResponse({ type: RotatedSecretDto })
  @ApiProblems('not_found')
  rotate(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<RotatedSecretDto> {
    return this.webhooks.rotate(caller, id);
  }

  @Post(':id/test')
  @HttpCode(200)
  @RequireRole('admin')
  @ApiOperation({
    summary: '发送测试事件 / Send a test event',
    description: '立即发送一个 webhook.test 事件并返回结果。 Sends a `webhook.test` event at once.',
  })
  @ApiOkResponse({ type: WebhookTestDto })
  @ApiProblems('not_found')
  async test(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<WebhookTestDto> {
    const { ok, status, step, latencyMs } = await this.webhooks.test(caller, id);
    return { ok, status, step, latencyMs };
  }

  @Get(':id/deliveries')
  @RequireRole('viewer')
  @UseGuards(VisibleWebhookGuard)
  @ApiOperation({
    summary: '发送记录 / What was sent',
    description: '保留 7 天，最近的在前。 Kept for 7 days, the newest first.',
  })
  @ApiOkResponse({ type: WebhookDeliveryPageDto })
  @ApiProblems('invalid_query', 'not_found')
  async listDeliveries(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Query() query: ListWebhookDeliveriesDto,
  ): Promise<WebhookDeliveryPageDto> {
    const { items, nextCursor } = await this.webhooks.listDeliveries(caller, id, query);
    return { items: items.map(toWebhookDeliveryDto), nextCursor };
  }

  @Post(':id/replay')
  @HttpCode(200)
  @RequireRole('admin')
  @UseGuards(VisibleWebhookGuard)
  @ApiOperation({
    summary: '重新发送 / Send again',
    description:
      '重新发送这段时间内发生的事件（7 天内），webhook-id 不变。 Sends the events of that stretch of time again, of the last 7 days, under the ids that they had.',
  })
  @ApiOkResponse({ type: ReplayedDto })
  @ApiProblems('malformed_body', 'not_found', 'validation_failed')
  async replay(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Body() span: ReplayDto,
  ): Promise<ReplayedDto> {
    return { count: await this.webhooks.replay(caller, id, span) };
  }
}
