import type { EventPayloads, EventType } from './event-types.js';

const APPID = 'wx1badb002feedface';
const MINI_PROGRAM = 'wx3c0ffee53c0ffee5';
const OPENID = 'oFixtureOpenId00000000000001';
const AT = '2026-11-22T08:00:00.000Z';
const ACCOUNT = { appid: APPID, accountType: 'official_account', nickname: '示例花店' } as const;

/** What each type's `data` looks like, for the documentation. */
export const EVENT_EXAMPLES: Readonly<{ [T in EventType]: EventPayloads[T] }> = {
  'account.authorized': {
    ...ACCOUNT,
    authorizedAt: AT,
    permissionIds: [1, 2, 3, 7, 8, 11, 15],
    missingPermissionIds: [],
  },
  'account.updated': {
    ...ACCOUNT,
    changed: ['permissions'],
    gainedPermissionIds: [],
    lostPermissionIds: [7],
    gainedScenes: [],
    lostScenes: ['broadcast', 'template_message'],
    failingChecks: ['minimum_permissions'],
  },
  'account.unauthorized': { ...ACCOUNT, unauthorizedAt: AT, state: 'unauthorized' },
  'account.enabled': ACCOUNT,
  'account.disabled': { ...ACCOUNT, reason: 'requested' },
  'account.deleted': ACCOUNT,
  'quota.exhausted': {
    ...ACCOUNT,
    path: '/cgi-bin/message/template/send',
    until: '2026-11-22T16:00:00.000Z',
    scenes: ['template_message'],
  },
  'quota.reset': { appid: APPID, resetId: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' },
  'token.failing': {
    ...ACCOUNT,
    reason:
      'WeChat refused /cgi-bin/component/api_authorizer_token: 61023 refresh_token is invalid',
    failCount: 3,
  },
  'receipt.received': {
    appid: MINI_PROGRAM,
    receiptId: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001',
    event: 'subscribe_msg_sent_event',
    openid: OPENID,
    templateId: 'nshp_9VmzMvd5TqzAp555L4JnMyhpMPIFrvR8o-ib5g',
    msgid: '1864323726461255680',
    status: 'success',
    errorCode: '0',
    detail: 'success',
    occurredAt: AT,
  },
  'subscription.changed': {
    appid: MINI_PROGRAM,
    openid: OPENID,
    templateId: 'nshp_9VmzMvd5TqzAp555L4JnMyhpMPIFrvR8o-ib5g',
    status: 'accept',
    changedIn: 'dialog',
    occurredAt: AT,
  },
  'follower.subscribed': {
    appid: APPID,
    openid: OPENID,
    isReturning: false,
    scene: 'ch:7Q2M',
    occurredAt: AT,
  },
  'follower.unsubscribed': { appid: APPID, openid: OPENID, occurredAt: AT },
  'qr_code.scanned': {
    appid: APPID,
    openid: OPENID,
    qrCodeId: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001',
    scene: 'c4mzq7xk2ab',
    visit: 'new_follower',
    occurredAt: AT,
  },
  'message.received': {
    appid: APPID,
    openid: OPENID,
    incomingMessageId: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001',
    messageId: '24012345678901234',
    messageType: 'text',
    event: null,
    eventKey: null,
    isMenuTap: false,
    text: '请问几点营业？',
    mediaId: null,
    picUrl: null,
    occurredAt: AT,
  },
  'delivery.updated': {
    appid: APPID,
    deliveryId: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001',
    kind: 'template_message',
    openid: OPENID,
    userId: 'user-10001',
    status: 'delivered',
    msgid: '3557254367693750277',
    failure: null,
    attempts: 1,
    campaignId: null,
  },
  'component.ticket_late': {
    componentAppid: 'wx0c0ffee0c0ffee00',
    state: 'late',
    lastReceivedAt: AT,
  },
};
