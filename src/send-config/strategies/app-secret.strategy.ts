import { getStableToken, WechatHttp } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import { AppError } from '../../common/app-error.js';
import { toSetSecretDto } from '../../common/set-secret.js';
import type { SaveSendConfigDto, SendConfigDto } from '../send-config.dto.js';
import { type FetchedToken, notGiven, notOfStrategy, type SendStrategy } from './strategy.js';
import { wechatFailure } from './wechat-failure.js';

export interface AppSecretSettings {
  appSecret: string;
}

/** WeChat gives the token for the mini-program's AppSecret: the stable one, never by force. */
@Injectable()
export class AppSecretStrategy implements SendStrategy<AppSecretSettings> {
  readonly name = 'app_secret';
  readonly field = 'appSecret';

  constructor(private readonly wechat: WechatHttp) {}

  merge(asked: SaveSendConfigDto, stored: AppSecretSettings | null): AppSecretSettings {
    const appSecret = asked.appSecret ?? stored?.appSecret;
    const faults = notOfStrategy(asked, [
      'accessTokenUrl',
      'headers',
      'tokenPointer',
      'expiresPointer',
    ]);
    if (appSecret === undefined) faults.push(notGiven('appSecret'));
    if (appSecret === undefined || faults.length > 0)
      throw new AppError('validation_failed', faults);
    return { appSecret };
  }

  show({ appSecret }: AppSecretSettings): Partial<SendConfigDto> {
    return { appSecret: toSetSecretDto(appSecret) };
  }

  uniqueOf(): null {
    return null;
  }

  async fetch(appid: string, { appSecret }: AppSecretSettings): Promise<FetchedToken> {
    try {
      const { accessToken, expiresInSeconds } = await getStableToken(this.wechat, {
        appid,
        appSecret,
      });
      return { accessToken, saidSeconds: expiresInSeconds, expiresInSeconds };
    } catch (error) {
      throw wechatFailure(error);
    }
  }
}
