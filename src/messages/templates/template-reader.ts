import {
  listSubscriptionTemplates,
  listTemplates,
  REACTIONS,
  WechatApiError,
  WechatHttp,
  WechatUnavailableError,
} from '@app/wechat';
import { Injectable } from '@nestjs/common';

import { AppError, type ProblemCode } from '../../common/app-error.js';
import { SendConfigService } from '../../send-config/send-config.service.js';
import { SendTokens } from '../../send-config/send-tokens.js';
import { TokensService } from '../../tokens/tokens.service.js';
import type { Template, TemplateKind } from './template-list.entity.js';

const NO_TOKEN_NOW: readonly ProblemCode[] = [
  'token_unavailable',
  'send_token_unavailable',
  'component_ticket_missing',
];

/** Asks WeChat for an account's templates. */
@Injectable()
export class TemplateReader {
  constructor(
    private readonly tokens: TokensService,
    private readonly sendTokens: SendTokens,
    private readonly sendConfig: SendConfigService,
    private readonly wechat: WechatHttp,
  ) {}

  /** @throws WechatApiError, WechatUnavailableError; AppError where there is no token */
  read(appid: string, kind: TemplateKind): Promise<Template[]> {
    return kind === 'template_message'
      ? this.tokens.withToken(appid, (token) => listTemplates(this.wechat, token))
      : this.#readSubscriptions(appid);
  }

  /** The permission to look at them is not of the minimum: where it was not granted, the mini-program's own token has it. */
  async #readSubscriptions(appid: string): Promise<Template[]> {
    const ask = (token: string) => listSubscriptionTemplates(this.wechat, token);
    try {
      return await this.tokens.withToken(appid, ask);
    } catch (error) {
      const isRefused = error instanceof WechatApiError && error.errorClass === 'permission';
      if (!isRefused || !(await this.sendConfig.hasSendConfig([appid])).has(appid)) throw error;
      return this.sendTokens.withToken(appid, ask);
    }
  }
}

/** Whether WeChat may say it when it is asked again. */
export function isPassing(error: unknown): boolean {
  if (error instanceof WechatApiError)
    return ['later', 'backoff'].includes(REACTIONS[error.errorClass].retry);
  if (error instanceof AppError) return NO_TOKEN_NOW.includes(error.code);
  return error instanceof WechatUnavailableError;
}
