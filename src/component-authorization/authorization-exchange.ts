import {
  getAuthorizerInfo,
  listAuthorizers,
  queryAuth,
  refreshAuthorizerToken,
  WechatApiError,
  WechatHttp,
  WechatUnavailableError,
} from '@app/wechat';
import { Injectable } from '@nestjs/common';

import { errorFields, Logger } from '../common/logger.js';
import { ComponentService } from './component.service.js';

/** What an authorization gives us. */
export interface IssuedAuthorization {
  appid: string;
  permissionIds: number[];
  /** Null when WeChat's answer was lost and only the refresh token could be read back. */
  accessToken: string | null;
  expiresInSeconds: number;
  /** Null when the administrator granted no API permission. */
  refreshToken: string | null;
}

/** What is known of a browser's visit with a code. */
export interface RedirectedVisit {
  /** An earlier visit with this code ended without WeChat's answer. */
  wasAnswerLost: boolean;
  /** Remembers that the answer was lost, before anything else is tried. */
  onAnswerLost: () => Promise<void>;
  /** Tells which account it must have been, or null. */
  findAccount: () => Promise<string | null>;
}

/** The code was spent, but its answer never came and nothing tells which account it was for. */
export class AuthorizationLostError extends Error {
  override readonly name = 'AuthorizationLostError';

  constructor() {
    super('The answer of the exchange was lost and the account is not known.');
  }
}

const LIST_PAGE = 500;
/** How far WeChat's clock and ours may be apart. */
const CLOCK_SKEW_MS = 5 * 60_000;

/** Redeems authorization codes, and heals an exchange whose answer was lost. */
@Injectable()
export class AuthorizationExchange {
  constructor(
    private readonly component: ComponentService,
    private readonly wechat: WechatHttp,
    private readonly logger: Logger,
  ) {}

  /**
   * Exchanges a code that came in WeChat's signed push, which names the account: whatever became of the code,
   * the account's present authorization can be read.
   */
  async redeemPushed(code: string, appid: string): Promise<IssuedAuthorization> {
    try {
      return await this.#redeem(code);
    } catch (error) {
      if (!isSpentOrLost(error)) throw error;
      return this.readBack(appid);
    }
  }

  /**
   * Exchanges a code that a browser brought. Such a code may be forged: one that WeChat calls wrong stays wrong,
   * and only an exchange whose answer was really lost, now or at an earlier visit, is healed.
   *
   * @throws WechatApiError `auth_code` when the code is wrong, used or expired
   * @throws AuthorizationLostError when the account cannot be told
   */
  async redeemRedirected(code: string, visit: RedirectedVisit): Promise<IssuedAuthorization> {
    try {
      return await this.#redeem(code);
    } catch (error) {
      if (isLost(error)) {
        this.logger.warn('authorization.answer_lost', errorFields(error));
        await visit.onAnswerLost();
      } else if (!visit.wasAnswerLost || !isSpentOrLost(error)) {
        throw error;
      }
    }
    try {
      // If the first request never arrived, the code is still good.
      return await this.#redeem(code);
    } catch (error) {
      if (!isSpentOrLost(error)) throw error;
    }
    const appid = await visit.findAccount();
    if (!appid) throw new AuthorizationLostError();
    return this.readBack(appid);
  }

  /** Reads an authorization back by its account. @throws WechatApiError 61003 when there is none */
  async readBack(appid: string): Promise<IssuedAuthorization> {
    const { authorization } = await this.component.call((token, componentAppid) =>
      getAuthorizerInfo(this.wechat, token, { componentAppid, appid }),
    );
    const { refreshToken, permissionIds } = authorization;
    this.logger.info('authorization.read_back', { appid });
    const grant = { appid, permissionIds, accessToken: null, expiresInSeconds: 0, refreshToken };
    if (!refreshToken) return grant;
    try {
      const issued = await this.component.call((token, componentAppid) =>
        refreshAuthorizerToken(this.wechat, token, { componentAppid, appid, refreshToken }),
      );
      return { ...grant, ...issued };
    } catch (error) {
      // The refresh token is what counts: an access token is fetched when one is needed.
      if (!isLost(error)) throw error;
      return grant;
    }
  }

  /** The accounts that authorized us at or after `moment`, or whose refresh token is another than ours. */
  async findChangedAccounts(
    moment: Date,
    known: ReadonlyMap<string, { refreshToken: string }>,
  ): Promise<string[]> {
    const changed: string[] = [];
    for (let offset = 0; ;) {
      const page = await this.component.call((token, componentAppid) =>
        listAuthorizers(this.wechat, token, { componentAppid, offset, count: LIST_PAGE }),
      );
      for (const { appid, refreshToken, authorizedAt } of page.items) {
        const ours = known.get(appid)?.refreshToken;
        const isOtherToken = ours !== undefined && refreshToken !== null && refreshToken !== ours;
        const isNew = ours === undefined && authorizedAt * 1000 >= moment.getTime() - CLOCK_SKEW_MS;
        if (isOtherToken || isNew) changed.push(appid);
      }
      offset += page.items.length;
      if (page.items.length === 0 || offset >= page.totalCount) return changed;
    }
  }

  async #redeem(code: string): Promise<IssuedAuthorization> {
    return this.component.call((token, componentAppid) =>
      queryAuth(this.wechat, token, { componentAppid, authorizationCode: code }),
    );
  }
}

/** Whether WeChat may have done what was asked without our hearing of it. */
function isLost(error: unknown): boolean {
  if (error instanceof WechatUnavailableError) return error.maybeApplied;
  return error instanceof WechatApiError && error.errorClass === 'transient';
}

function isSpentOrLost(error: unknown): boolean {
  return isLost(error) || (error instanceof WechatApiError && error.errorClass === 'auth_code');
}
