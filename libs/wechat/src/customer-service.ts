import type { WechatHttp } from './http.js';

/**
 * Sends a text to a person who has been active lately (客服消息).
 *
 * @param accessToken the account's own
 * @throws WechatApiError 45015 when the person's window is closed, 45047 when it is used up
 * @see https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Service_Center_messages.html
 */
export async function sendCustomerServiceText(
  http: WechatHttp,
  accessToken: string,
  message: { openid: string; content: string },
): Promise<void> {
  await http.post(
    '/cgi-bin/message/custom/send',
    { touser: message.openid, msgtype: 'text', text: { content: message.content } },
    { accessToken },
  );
}
