import { getAuthorizerInfo, refreshAuthorizerToken, WechatHttp } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { type IssuedToken, type TokenSource } from '../tokens/token-sources.js';
import { TokensService } from '../tokens/tokens.service.js';
import { ComponentService } from './component.service.js';

/** Tells the custody how an account's token is got, and where WeChat shows its refresh token. */
@Injectable()
export class AuthorizerTokens implements OnModuleInit, TokenSource {
  constructor(
    private readonly tokens: TokensService,
    private readonly component: ComponentService,
    private readonly wechat: WechatHttp,
  ) {}

  onModuleInit(): void {
    this.tokens.registerSource('authorizer', this);
  }

  fetch(appid: string, refreshToken: string | null): Promise<IssuedToken> {
    return this.component.call((token, componentAppid) =>
      refreshAuthorizerToken(this.wechat, token, {
        componentAppid,
        appid,
        refreshToken: refreshToken ?? '',
      }),
    );
  }

  async readBack(appid: string): Promise<string | null> {
    const { authorization } = await this.component.call((token, componentAppid) =>
      getAuthorizerInfo(this.wechat, token, { componentAppid, appid }),
    );
    return authorization.refreshToken;
  }
}
