import {
  type Push,
  queryAuth,
  RELEASE_TEST_ACCOUNTS,
  releaseTestAnswer,
  sendCustomerServiceText,
  textReply,
  WechatHttp,
} from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { Clock } from '../common/clock.js';
import { Logger } from '../common/logger.js';
import { type HeldAccount, PushAccounts } from '../pushes/push-accounts.js';
import type { AccountPush } from '../pushes/push-handlers.js';
import { ComponentService } from './component.service.js';

/**
 * Answers WeChat's full-network release test (全网发布接入检测), which every release of the platform runs again on ten
 * accounts of WeChat's own. They never become accounts of ours, and nothing else ever hears of their messages.
 *
 * @see https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/operation/thirdparty/releaseguide.html
 */
@Injectable()
export class ReleaseTest implements OnModuleInit {
  constructor(
    private readonly pushAccounts: PushAccounts,
    private readonly component: ComponentService,
    private readonly wechat: WechatHttp,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.pushAccounts.register((appid) => Promise.resolve(this.#find(appid)));
  }

  #find(appid: string): HeldAccount | null {
    const account = RELEASE_TEST_ACCOUNTS.get(appid);
    if (!account) return null;
    return {
      originalId: account.originalId,
      nickname: '',
      reply: (push) => this.#reply(push),
      handler: (push) => this.#handle(push),
    };
  }

  #reply(push: AccountPush): string | null {
    const answer = releaseTestAnswer(push);
    // What is answered by the API is answered here with nothing at all.
    if (answer?.kind === 'query_auth') return '';
    if (!answer) return null;
    const createTime = Math.floor(this.clock.now().getTime() / 1000);
    return textReply({ to: push.fromUserName, from: push.toUserName, createTime }, answer.content);
  }

  /** The test wants the message sent with the token of the very code that it gives. */
  async #handle(push: Push): Promise<void> {
    if (!('toUserName' in push)) return;
    const answer = releaseTestAnswer(push);
    if (answer?.kind !== 'query_auth') return;
    const { accessToken } = await this.component.call((token, componentAppid) =>
      queryAuth(this.wechat, token, {
        componentAppid,
        authorizationCode: answer.authorizationCode,
      }),
    );
    if (!accessToken) throw new Error('The release test gave a code without permissions.');
    await sendCustomerServiceText(this.wechat, accessToken, {
      openid: push.fromUserName,
      content: answer.content,
    });
    this.logger.info('release_test.answered', { originalId: push.toUserName });
  }
}
