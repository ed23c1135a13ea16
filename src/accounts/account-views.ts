import { permissionName } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import { inLang, type Lang } from '../common/text.js';
import { AccountScenes } from './account-scenes.js';
import type { AccountDto, CheckDto, SceneDto } from './account.dto.js';
import type { Account } from './account.entity.js';
import { type CheckResult, runChecks } from './enable-checks.js';
import { minimumOf, missingPermissions } from './permissions.js';
import { AccountPictures } from './pictures/account-pictures.service.js';
import { type SceneReason, type SceneState } from './scenes.js';
import type { Suggestion } from './user-properties/openid-property.js';
import { UserPropertiesService } from './user-properties/user-properties.service.js';

/** What clients see of accounts: the rows, with what other tables and rooms know of them. */
@Injectable()
export class AccountViews {
  constructor(
    private readonly pictures: AccountPictures,
    private readonly scenes: AccountScenes,
    private readonly properties: UserPropertiesService,
  ) {}

  async show(account: Account, lang: Lang): Promise<AccountDto> {
    const [shown] = await this.showAll([account], lang);
    if (!shown) throw new TypeError('One account, one view.');
    return shown;
  }

  /** In their order; a handful of queries however many they are. */
  async showAll(accounts: readonly Account[], lang: Lang): Promise<AccountDto[]> {
    const [urls, scenes, suggestions] = await Promise.all([
      this.pictures.findUrls(accounts),
      this.scenes.findAll(accounts),
      this.properties.suggest(accounts),
    ]);
    return accounts.map((account, place) => {
      const { appid } = account;
      return {
        ...plain(account),
        avatarUrl: urls.get(appid)?.avatar ?? '',
        qrcodeUrl: urls.get(appid)?.qrcode ?? '',
        suggestedOpenidProperty: suggestions.get(appid) ?? null,
        failingChecks: runChecks(account).flatMap((result) =>
          result.failure ? [toCheckDto(result, lang, suggestions.get(appid) ?? null)] : [],
        ),
        scenes: (scenes[place] ?? []).map((state) => toSceneDto(state, lang)),
      };
    });
  }

  /** Results of checks, with a property proposed where one is missing. */
  async showChecks(account: Account, results: readonly CheckResult[]): Promise<ShownChecks> {
    const suggestion = (await this.properties.suggest([account])).get(account.appid) ?? null;
    return (lang) => results.map((result) => toCheckDto(result, lang, suggestion));
  }
}

/** In whichever language they are asked for. */
export type ShownChecks = (lang: Lang) => CheckDto[];

function toCheckDto(
  { check, failure }: CheckResult,
  lang: Lang,
  suggestion: Suggestion | null,
): CheckDto {
  if (!failure) return { check, passed: true, detail: null, fix: null, call: null };
  const isProperty = check === 'openid_property' && failure.call !== null;
  return {
    check,
    passed: false,
    detail: inLang(failure.detail, lang),
    fix: inLang(failure.fix, lang),
    call:
      isProperty && failure.call
        ? { ...failure.call, body: { property: suggestion?.name ?? '' } }
        : failure.call,
    ...(failure.missing && { missing: failure.missing }),
  };
}

function toSceneDto({ scene, available, reasons, warnings }: SceneState, lang: Lang): SceneDto {
  const show = ({ code, detail, until }: SceneReason) => ({
    code,
    detail: inLang(detail, lang),
    ...(until && { until }),
  });
  return { scene, available, reasons: reasons.map(show), warnings: warnings.map(show) };
}

function plain(account: Account) {
  const required = new Set(minimumOf(account));
  const granted = new Set(account.permissionIds);
  const ids = [...new Set([...required, ...granted])].sort((a, b) => a - b);
  const { authorizationState: state, authorizedAt, unauthorizedAt } = account;
  return {
    appid: account.appid,
    tenantId: account.tenantId,
    accountType: account.accountType,
    subtype: account.subtype,
    nickname: account.nickname,
    originalId: account.originalId,
    alias: account.alias,
    principalName: account.principalName,
    verified: account.verifyType === 0,
    verifyType: account.verifyType,
    accountStatus: account.accountStatus,
    authorization: { state, authorizedAt, unauthorizedAt },
    permissions: ids.map((id) => ({
      id,
      name: permissionName(id),
      required: required.has(id),
      granted: granted.has(id),
    })),
    missingPermissions: missingPermissions(account),
    openidProperty: account.openidProperty,
    enabled: account.enabled,
    flaggedAt: account.flaggedAt,
    syncedAt: account.syncedAt,
    createdAt: account.createdAt,
    updatedAt: account.updatedAt,
  };
}
