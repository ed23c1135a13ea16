import { getAuthorizerInfo, refreshAuthorizerToken, WechatApiError, WechatHttp } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { Logger } from '../common/logger.js';
import { type IssuedToken, TokensService } from '../tokens/tokens.service.js';
import { ComponentService } from './component.service.js';

/** `refresh_token is invalid`: ours is not the one WeChat holds. */
const REFRESH_TOKEN_INVALID = 61023;

/** Tells the custody how an account's token is renewed. */
@Injectable()
export class AuthorizerTokens implements OnModuleInit {
  constructor(
    private readonly tokens: TokensService,
    private readonly component: ComponentService,
    private readonly wechat: WechatHttp,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.tokens.registerFetcher('authorizer', (appid, refreshToken) =>
      this.#fetch(appid, refreshToken ?? ''),
    );
  }

  /** A refresh token that WeChat no longer takes is read back from WeChat once: it may have been changed unheard. */
  async #fetch(appid: string, refreshToken: string): Promise<IssuedToken> {
    try {
      return await this.#refresh(appid, refreshToken);
    } catch (error) {
      if (!(error instanceof WechatApiError && error.errcode === REFRESH_TOKEN_INVALID))
        throw error;
      const current = await this.#readRefreshToken(appid);
      if (!current || current === refreshToken) throw error;
      this.logger.warn('token.refresh_token_replaced', { appid });
      return this.#refresh(appid, current);
    }
  }

  #refresh(appid: string, refreshToken: string): Promise<IssuedToken> {
    return this.component.call((token, componentAppid) =>
      refreshAuthorizerToken(this.wechat, token, { componentAppid, appid, refreshToken }),
    );
  }

  async #readRefreshToken(appid: string): Promise<string | null> {
    const { authorization } = await this.component.call((token, componentAppid) =>
      getAuthorizerInfo(this.wechat, token, { componentAppid, appid }),
    );
    return authorization.refreshToken;
  }
}
