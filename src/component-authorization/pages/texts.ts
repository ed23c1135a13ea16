import type { Text } from '../../common/text.js';

const text = (zh: string, en: string): Text => ({ zh, en });

/** Everything the launch and callback pages say, in one place for translators. */
export const T = {
  launchTitle: text('授权微信账号', 'Authorize a WeChat account'),
  launchLead: text(
    '请由账号的管理员用微信扫码，把公众号或小程序授权给营销平台。',
    "The account's administrator scans with WeChat and lets the marketing platform act for the official account or mini-program.",
  ),
  updateLead: text('本次只更新这个账号的授权：', 'This only updates the authorization of:'),
  updateNote: text('选择其他账号将不会生效。', 'Choosing another account has no effect.'),
  noticeTitle: text('扫码前请阅读', 'Before you scan'),
  notices: [
    text(
      '只有账号的管理员本人（绑定管理员微信的人）可以扫码授权。',
      'Only the person whose WeChat is bound as the administrator of the account can authorize it.',
    ),
    text(
      '请保留下方列出的全部权限；取消勾选会导致账号无法启用。',
      'Keep every permission below ticked. The account cannot be switched on if one is missing.',
    ),
    text(
      '授权不会发送任何消息，也不会影响已授权给其他平台的权限（一个账号最多可授权 15 个平台）。',
      'Authorizing sends nothing to anybody and takes nothing away from other platforms; an account may have up to 15.',
    ),
    text(
      '您可随时在微信公众平台取消授权（公众号：设置 → 公众号设置 → 授权管理；小程序：设置 → 第三方设置）。',
      "You can cancel at any time in WeChat's console (official account: 设置 → 公众号设置 → 授权管理; mini-program: 设置 → 第三方设置).",
    ),
  ],
  permissionsTitle: text('将请求的最低权限', 'The permissions that are needed'),
  onlyPermissionsTitle: text('本次只请求以下权限', 'Only these permissions are asked for'),
  officialAccount: text('公众号', 'Official account'),
  miniProgram: text('小程序', 'Mini-program'),
  scanTitle: text('在电脑上授权', 'On a computer'),
  scanHint: text(
    '打开微信的二维码页面，再用手机微信扫码。',
    "Opens WeChat's page with a QR code to scan with your phone.",
  ),
  scanButton: text('使用微信扫码授权', 'Scan with WeChat'),
  phoneTitle: text('在手机上授权', 'On your phone'),
  phoneHint: text(
    '用手机微信扫描二维码，在微信中打开本页。',
    'Scan this code with WeChat to open this page on your phone.',
  ),
  phoneHere: text(
    '请在微信中打开本页，然后点击按钮。',
    'Open this page inside WeChat, then press the button.',
  ),
  phoneButton: text('在微信中授权', 'Authorize in WeChat'),
  qrLabel: text('手机版授权页的二维码', 'QR code of this page for a phone'),
  statusTitle: text('授权状态', 'Status'),
  pending: text('等待扫码授权…', 'Waiting for the scan…'),
  completed: text('授权成功', 'Authorized'),
  failed: text('授权未完成', 'Not authorized'),
  expired: text('链接已过期', 'This link has expired'),
  expiredDetail: text(
    '请向发给您链接的人索取新的授权链接。',
    'Ask whoever sent you the link for a new one.',
  ),
  validUntil: text('有效期至', 'Valid until'),
  chineseTime: text('（北京时间）', '(Beijing time)'),
  refresh: text('刷新状态', 'Refresh the status'),
  complete: text('所需权限已全部授予。', 'Every permission that is needed was granted.'),
  unchanged: text('与之前相比，权限没有变化。', 'The permissions are the same as before.'),
  gained: text('与之前相比，新增权限：', 'Permissions that were added:'),
  lost: text('与之前相比，减少权限：', 'Permissions that were taken away:'),
  missing: text('还缺少以下权限：', 'These permissions are missing:'),
  missingNext: text(
    '账号已经授权，但在补齐权限前无法启用。请索取新的授权链接，重新扫码并保留全部勾选。',
    'The account is authorized but cannot be switched on yet. Ask for a new link, scan again and keep everything ticked.',
  ),
  close: text('可以关闭此窗口。', 'You may close this window.'),
  reload: text('重新尝试', 'Try again'),
  unnamed: text('（暂未取得名称）', '(name not read yet)'),
  otherLanguage: text('English', '简体中文'),
} as const;

/** WeChat could not be asked; the code that the browser brought is still good. */
export const TRY_AGAIN: Text = text(
  '暂时无法连接微信，授权还没有保存。请稍候片刻，点击“重新尝试”。',
  'WeChat cannot be reached right now and the authorization is not saved yet. Wait a moment and press "Try again".',
);

/** A link that leads to no authorization. */
export const UNKNOWN_LINK: { title: Text; detail: Text } = {
  title: text('链接无效', 'This link is not valid'),
  detail: text(
    '没有找到对应的授权。请检查链接是否完整，或索取新的授权链接。',
    'There is no such authorization. Check that the link is complete, or ask for a new one.',
  ),
};

/** Why a browser that comes back from WeChat is not believed. */
export const REFUSALS: Readonly<
  Record<
    'unknown_state' | 'expired' | 'other_code' | 'no_code',
    { status: number; title: Text; detail: Text }
  >
> = {
  unknown_state: {
    status: 404,
    title: text('无法识别这次授权', 'We do not know this authorization'),
    detail: text(
      '这个返回地址不是由本平台发起的授权产生的。请从授权链接重新开始。',
      'This address does not belong to an authorization that began here. Start again from the authorization link.',
    ),
  },
  expired: {
    status: 410,
    title: text('授权已过期', 'This authorization has expired'),
    detail: text(
      '从发起到返回的时间过长。请索取新的授权链接并重新扫码。',
      'Too much time has passed since it began. Ask for a new authorization link and scan again.',
    ),
  },
  other_code: {
    status: 409,
    title: text('这次授权已经处理过', 'This authorization was already used'),
    detail: text(
      '同一个授权链接不能用于另一次扫码结果。请索取新的授权链接。',
      'The same link cannot be used with the result of another scan. Ask for a new authorization link.',
    ),
  },
  no_code: {
    status: 400,
    title: text('微信没有返回授权码', 'WeChat returned no code'),
    detail: text('请回到授权页重新扫码。', 'Go back to the authorization page and scan again.'),
  },
};
