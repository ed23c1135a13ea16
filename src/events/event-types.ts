import type { Text } from '../common/text.js';

/** What an account looks like in an event: what a client needs to know whether to ask for more. */
export interface AccountSummary {
  appid: string;
  accountType: 'official_account' | 'mini_program';
  nickname: string;
}

/**
 * What each type carries. A field is only ever added; anything else makes a new version in {@link EVENT_VERSIONS}.
 */
export interface EventPayloads {
  'account.authorized': AccountSummary & {
    authorizedAt: string;
    permissionIds: number[];
    /** Permission sets that the account needs and was not granted. */
    missingPermissionIds: number[];
  };
  'account.updated': AccountSummary & {
    /**
     * The fields of the account that are different now, e.g. `permissions`, `nickname`; `checks`: it is switched on and
     * fails other checks than before; `tenant`: it is yours no more.
     */
    changed: string[];
    /** Permission sets that came and went. */
    gainedPermissionIds: number[];
    lostPermissionIds: number[];
    /** Scenes that the account's sort, verification and permissions allow now, or no more. */
    gainedScenes: string[];
    lostScenes: string[];
    /** The checks that it fails although it is switched on. */
    failingChecks: string[];
  };
  'account.enabled': AccountSummary;
  'account.disabled': AccountSummary & {
    /** An admin did it, or what has become of the account at WeChat. */
    reason: 'requested' | 'unauthorized' | 'cancelled' | 'banned' | 'frozen';
  };
  'account.deleted': AccountSummary;
  'account.unauthorized': AccountSummary & {
    unauthorizedAt: string;
    /** Cancelled by the administrator, or WeChat no longer takes our credentials; both need a new authorization. */
    state: 'unauthorized' | 'reauthorization_required';
  };
  'quota.exhausted': AccountSummary & {
    /** WeChat's API, e.g. `/cgi-bin/message/template/send`. */
    path: string;
    until: string;
    /** The scenes that it carries. */
    scenes: string[];
  };
  'quota.reset': {
    /** An account's, or the platform's own. */
    appid: string;
    resetId: string;
  };
  'token.failing': AccountSummary & {
    /** Which of the account's tokens, where it is not the one of its authorization. */
    credential?: 'send_config';
    /** What WeChat, or the way to it, says. */
    reason: string;
    /** Refreshes that have failed one after the other. */
    failCount: number;
  };
  'receipt.received': {
    appid: string;
    /** The receipt's, as in the list of the account's receipts. */
    receiptId: string;
    /** WeChat's name of the event, in lower case. */
    event: string;
    openid: string;
    templateId: string | null;
    /** WeChat's number of the message, 19 digits. */
    msgid: string | null;
    status: string | null;
    /** WeChat's code and words for what became of a message. */
    errorCode: string | null;
    detail: string | null;
    /** WeChat's time. */
    occurredAt: string;
  };
  'subscription.changed': {
    appid: string;
    openid: string;
    templateId: string | null;
    /** `accept` or `reject`. */
    status: string | null;
    /** In the dialog of the mini-program, or in WeChat's own settings. */
    changedIn: 'dialog' | 'settings';
    occurredAt: string;
  };
  'follower.subscribed': {
    appid: string;
    openid: string;
    /** Has followed before, as far as we can tell. */
    isReturning: boolean;
    /** Of the QR code that led to it; null where none did. */
    scene: string | null;
    /** WeChat's time. */
    occurredAt: string;
  };
  'follower.unsubscribed': {
    appid: string;
    openid: string;
    occurredAt: string;
  };
  'qr_code.scanned': {
    appid: string;
    openid: string;
    /** The channel code's, as in the list of the account's codes. */
    qrCodeId: string;
    /** What WeChat knows it by. */
    scene: string;
    /** Follows by it for the first time or again, or was a follower already. */
    visit: 'new_follower' | 'returning_follower' | 'existing_follower';
    /** WeChat's time. */
    occurredAt: string;
  };
  'message.received': {
    appid: string;
    openid: string;
    /** Ours, as in the list of the account's incoming messages, which has the rest of what WeChat sent. */
    incomingMessageId: string;
    /** WeChat's, up to 20 digits; null for what is no message. */
    messageId: string | null;
    /** WeChat's type in lower case, e.g. `text`, `image`; `event` for something that was done. */
    messageType: string;
    /** Its name in lower case, e.g. `click`. */
    event: string | null;
    /** The key of the menu item, the scene of the code, or the page. */
    eventKey: string | null;
    /** A tap on an entry of a message menu, which comes as a text. */
    isMenuTap: boolean;
    /** What was written, up to 2,048 characters of it. */
    text: string | null;
    /** WeChat's copy of a picture, a voice or a video, which it keeps for three days. */
    mediaId: string | null;
    picUrl: string | null;
    occurredAt: string;
  };
  'delivery.updated': {
    appid: string;
    deliveryId: string;
    kind: 'template_message' | 'subscription_message' | 'customer_service_message' | 'broadcast';
    openid: string | null;
    /** What the marketing platform calls the person. */
    userId: string | null;
    status: string;
    /** WeChat's number of the message, 19 digits. */
    msgid: string | null;
    /** Why it was not sent or did not arrive; its words stand in the delivery. */
    failure: { reason: string; errcode: number | null; retryable: boolean } | null;
    /** How often sending has begun. */
    attempts: number;
    campaignId: string | null;
  };
  'component.ticket_late': {
    componentAppid: string;
    state: 'late' | 'expired' | 'missing';
    lastReceivedAt: string | null;
  };
}

export type EventType = keyof EventPayloads;

/**
 * What people have written themselves: it is what the marketing platform wants to know, so it is in the event, but it
 * is kept sealed.
 */
export const PERSONAL_FIELDS: Readonly<Partial<Record<EventType, readonly string[]>>> = {
  'message.received': ['text', 'mediaId', 'picUrl'],
};

export const EVENT_VERSIONS: Readonly<Record<EventType, number>> = {
  'account.authorized': 1,
  'account.updated': 1,
  'account.unauthorized': 1,
  'account.enabled': 1,
  'account.disabled': 1,
  'account.deleted': 1,
  'quota.exhausted': 1,
  'quota.reset': 1,
  'token.failing': 1,
  'receipt.received': 1,
  'subscription.changed': 1,
  'follower.subscribed': 1,
  'follower.unsubscribed': 1,
  'qr_code.scanned': 1,
  'message.received': 1,
  'delivery.updated': 1,
  'component.ticket_late': 1,
};

export const EVENT_TYPES = Object.keys(EVENT_VERSIONS) as EventType[];

/** When each is sent, for the documentation. */
export const EVENT_MEANINGS: Readonly<Record<EventType, Text>> = {
  'account.authorized': {
    zh: '账号完成授权，或在取消后重新授权。',
    en: 'An account has authorized us, for the first time or again.',
  },
  'account.updated': {
    zh: '账号的权限或资料发生变化，或启用中的账号不再满足启用检查（changed 含 checks）；changed 为 tenant 表示账号已由平台移交，不再属于本租户。',
    en: 'The permissions or details of an account have changed, or one that is switched on fails other checks than before (`checks` in `changed`); `tenant` in `changed`: the platform has given it to somebody else.',
  },
  'account.unauthorized': {
    zh: '账号在微信侧取消了授权，或微信不再接受我们的凭据（state）；都需要重新授权。',
    en: 'The authorization was cancelled at WeChat, or WeChat no longer takes our credentials (`state`): both need a new one.',
  },
  'account.enabled': {
    zh: '账号已启用。',
    en: 'The account was switched on.',
  },
  'account.disabled': {
    zh: '账号已停用：由管理员操作，或因取消授权、注销、封禁、冻结自动停用（reason）。',
    en: 'The account was switched off: by an admin, or because it was unauthorized, closed, banned or frozen at WeChat (`reason`).',
  },
  'account.deleted': {
    zh: '账号及其数据已删除。',
    en: 'The account and what belonged to it was deleted.',
  },
  'quota.exhausted': {
    zh: '微信某个接口今日额度已用完，相关场景暂停至次日（until）。',
    en: 'The quota of one of WeChat’s APIs is used up for today; what it carries is paused until then.',
  },
  'quota.reset': {
    zh: '微信接口额度已重置，因额度暂停的场景立即恢复。',
    en: 'The quota was reset: what was paused for want of it goes on at once.',
  },
  'token.failing': {
    zh: '账号令牌连续多次刷新失败；服务会继续重试。credential 为 send_config 表示小程序发送配置的令牌。',
    en: 'Refreshing an account’s token keeps failing; it is tried again by itself. `credential` is `send_config` for the token of a mini-program’s send configuration.',
  },
  'receipt.received': {
    zh: '收到一条订阅消息回执：用户在弹窗或设置中的选择，或一条消息的发送结果。',
    en: 'A receipt of subscription messages has come: what a person chose, or what became of a message.',
  },
  'subscription.changed': {
    zh: '用户接受或拒绝了一个订阅消息模板（changedIn：弹窗 dialog 或设置 settings）。',
    en: 'A person has accepted or rejected a template of subscription messages, in the dialog or in the settings (`changedIn`).',
  },
  'follower.subscribed': {
    zh: '用户关注了公众号；isReturning 表示曾经关注过，scene 为所扫二维码的场景值。',
    en: 'A person follows the account; `isReturning` for one who has before, `scene` of the QR code that was scanned.',
  },
  'follower.unsubscribed': {
    zh: '用户取消了关注。',
    en: 'A person follows the account no more.',
  },
  'qr_code.scanned': {
    zh: '用户扫了一个渠道二维码：新关注（new_follower）、再次关注（returning_follower）或已关注（existing_follower）。',
    en: 'A person has scanned a channel code: follows by it for the first time (`new_follower`) or again (`returning_follower`), or was a follower already (`existing_follower`).',
  },
  'message.received': {
    zh: '用户发来消息，或在会话中点击菜单、扫码、进入客服会话（messageType 为 event）。文字最多 2048 字，其余内容用 incomingMessageId 查询。',
    en: 'A person has written, or has tapped a menu, scanned a code or opened the conversation (`messageType` is `event`). Up to 2,048 characters; the rest is found by `incomingMessageId`.',
  },
  'delivery.updated': {
    zh: '一条消息的状态发生变化（status）；同一用户的事件按顺序送达。',
    en: 'The status of a message has changed. The events of one person come in their order.',
  },
  'component.ticket_late': {
    zh: '超过 30 分钟没有收到新的 ticket（仅 owner 可见）。',
    en: 'No new ticket has come for more than 30 minutes (owners only).',
  },
};

/** Whom an event is about: events of one subject are delivered in their order. */
export interface EventSubject {
  /** Whose event it is; null for what only owners may see. */
  tenantId: string | null;
  /** The account; null for the platform itself. */
  appid: string | null;
  openid?: string;
}
