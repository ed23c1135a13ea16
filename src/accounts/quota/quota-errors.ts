import type { WechatApiError } from '@app/wechat';

import { AppError } from '../../common/app-error.js';
import { refusalOf } from '../../common/problem.filter.js';
import { inLang, type Lang, type Text } from '../../common/text.js';

/** The month's resets are used up. */
export class QuotaBudgetExhaustedError extends AppError {
  /** @param refusal WeChat's word for it; null when it is by our count */
  constructor(readonly refusal: WechatApiError | null) {
    super('quota_reset_budget_exhausted');
  }

  override members(lang: Lang): object {
    return this.refusal ? { wechat: refusalOf(this.refusal, lang) } : {};
  }
}

const LOST: Text = {
  zh: '微信没有应答，额度可能已经重置。本次计入本月次数，且不会自动重试；请用 GET …/quota 查看效果后再决定。',
  en: 'WeChat did not answer and may have reset the quota. This counts, and is not tried again by itself: look at GET …/quota before you decide.',
};

/** WeChat's answer to a reset was lost. */
export class QuotaResetLostError extends AppError {
  constructor() {
    super('wechat_unavailable');
  }

  override members(lang: Lang): object {
    return { detail: inLang(LOST, lang) };
  }
}
