import { adviceOf, type ErrorClass } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import { AccountScenes } from '../../accounts/account-scenes.js';
import type { Account } from '../../accounts/account.entity.js';
import type { SceneState } from '../../accounts/scenes.js';
import { AppError } from '../../common/app-error.js';
import type { Text } from '../../common/text.js';
import type { MessageKindName } from '../kinds/message-kind.js';
import { type OpenWindow, PeopleService, type Reach } from './people.service.js';

/** Why somebody cannot be reached now. */
export interface EligibilityReason {
  /** Of the account's scene, or what WeChat would refuse it with, in the words of `ErrorClass`. */
  code: string;
  /** What it means and what to do. */
  detail: Text;
  /** When it changes by itself; null where somebody has to do something. */
  changesAt: Date | null;
}

/** What somebody is to be sent. */
export interface Wanted {
  kind: MessageKindName;
  openid: string;
  /** Of a subscription message. */
  templateId?: string | null;
  /** How many messages; default one. */
  count?: number;
}

export interface Eligibility {
  eligible: boolean;
  reasons: EligibilityReason[];
  /** Of customer-service messages: how many, and when the last of the windows that hold them ends. Null where none is open. */
  window: { until: Date; left: number } | null;
}

/** Tells whether a person can be reached now, before WeChat is asked. */
@Injectable()
export class EligibilityService {
  constructor(
    private readonly scenes: AccountScenes,
    private readonly people: PeopleService,
  ) {}

  /**
   * What we know not to work is told; what we do not know is left to WeChat. Nobody may have told us of an old follower,
   * but without a consent or a window that we have seen, there is none.
   *
   * @param state of the kind's scene, where the caller has it already
   * @throws AppError `kind_not_supported` for what the account's sort never sends
   */
  async check(
    account: Account,
    { kind, openid, templateId, count = 1 }: Wanted,
    state?: SceneState,
  ): Promise<Eligibility> {
    const { appid, accountType } = account;
    const scene = state ?? (await this.scenes.stateOf(account, kind));
    if (scene.reasons.some(({ code }) => code === 'kind_not_supported'))
      throw new AppError('kind_not_supported');
    const reach = await this.people.findReach(appid, openid);
    const reasons: EligibilityReason[] = [
      ...scene.reasons.map(({ code, detail, until }) => ({ code, detail, changesAt: until })),
      ...suppressionsOf(reach, accountType).map(toReason),
    ];
    const isReply = kind === 'customer_service_message';
    const windows = isReply ? await this.people.findWindows(appid, openid) : [];
    if (isReply) reasons.push(...windowReasons(windows, count));
    if (kind === 'subscription_message') {
      const { left } = await this.people.findGrant(appid, openid, templateId ?? '');
      if (left !== null && left < count) reasons.push(toReason('no_grant'));
    }
    return { eligible: reasons.length === 0, reasons, window: openWindowOf(windows) };
  }

  /** Why somebody can be written back to no more; null while a window is open. */
  async missedReply(appid: string, openid: string): Promise<EligibilityReason | null> {
    const [reason] = windowReasons(await this.people.findWindows(appid, openid), 1);
    return reason ?? null;
  }
}

function suppressionsOf(
  { isFollower, blockedAt, blacklistedAt, unknownAt }: Reach,
  accountType: Account['accountType'],
): ErrorClass[] {
  return [
    ...(accountType === 'official_account' && isFollower === false
      ? (['user_not_follower'] as const)
      : []),
    ...(blockedAt ? (['user_blocked'] as const) : []),
    ...(blacklistedAt ? (['user_blacklisted'] as const) : []),
    ...(unknownAt ? (['user_unknown'] as const) : []),
  ];
}

function openWindowOf(windows: readonly OpenWindow[]): Eligibility['window'] {
  const open = windows.filter(({ left }) => left > 0);
  const last = open.at(-1);
  return last ? { until: last.until, left: open.reduce((sum, { left }) => sum + left, 0) } : null;
}

function windowReasons(windows: readonly OpenWindow[], count: number): EligibilityReason[] {
  if ((openWindowOf(windows)?.left ?? 0) >= count) return [];
  return [toReason(windows.length > 0 ? 'window_used_up' : 'window_closed')];
}

function toReason(errorClass: ErrorClass): EligibilityReason {
  return { code: errorClass, detail: adviceOf(errorClass), changesAt: null };
}
