import { type Answer, messageId, objects, optionalText, text } from './answer.js';
import type { WechatHttp } from './http.js';
import { readTemplateFields, type TemplateField } from './template-field.js';
import type { XmlObject } from './xml.js';

/** A template message (模板消息) to one follower of a verified service account. */
export interface TemplateMessage {
  openid: string;
  templateId: string;
  /** By the fields' keys, e.g. `thing1`, without `.DATA`. */
  data: Readonly<Record<string, string>>;
  /** Opened by a tap; where the mini-program cannot be opened if both are given. */
  url?: string | undefined;
  /** One that is linked to the account. The path may carry a query. */
  miniProgram?: { appid: string; pagePath: string } | undefined;
  /** Within ten minutes, WeChat sends one message for one openid and id. At most 32 characters. */
  clientMsgId?: string | undefined;
}

const SEND = '/cgi-bin/message/template/send';

/**
 * Sends a template message. WeChat takes it, and tells by {@link TEMPLATE_RESULT_EVENT} whether it arrived.
 *
 * @param accessToken the account's own
 * @returns the number that the result names; null in the unlikely case that WeChat gives none
 * @throws WechatApiError 40003 or 43004 for a person who does not follow, 40037 for a template that is not the
 *   account's, 47003 for a field ({@link refusedField}), 43117 when this person got too many
 * @throws RangeError for a `clientMsgId` that is too long
 * @see https://developers.weixin.qq.com/doc/service/api/notify/template/api_sendtemplatemessage
 */
export async function sendTemplateMessage(
  http: WechatHttp,
  accessToken: string,
  message: TemplateMessage,
): Promise<{ msgid: string | null }> {
  const { openid, templateId, data, url, miniProgram, clientMsgId } = message;
  if (clientMsgId !== undefined && clientMsgId.length > 32)
    throw new RangeError('A client_msg_id has at most 32 characters.');
  const answer = await http.post(
    SEND,
    {
      touser: openid,
      template_id: templateId,
      ...(url !== undefined && { url }),
      ...(miniProgram && {
        miniprogram: { appid: miniProgram.appid, pagepath: miniProgram.pagePath },
      }),
      ...(clientMsgId !== undefined && { client_msg_id: clientMsgId }),
      data: toWireData(data),
    },
    { accessToken },
  );
  return { msgid: messageId(answer, 'msgid') };
}

/** A template that an account has chosen. */
export interface MessageTemplate {
  templateId: string;
  title: string;
  /** The text with its placeholders, e.g. `订单号：{{character_string1.DATA}}`. */
  content: string;
  /** The same with sample values; may be empty. */
  example: string;
  fields: TemplateField[];
}

/**
 * Reads the account's templates, 25 at the most.
 *
 * @throws WechatApiError 48001 for any account but a verified service account
 * @see https://developers.weixin.qq.com/doc/service/api/notify/template/api_getalltemplates
 */
export async function listTemplates(
  http: WechatHttp,
  accessToken: string,
): Promise<MessageTemplate[]> {
  const path = '/cgi-bin/template/get_all_private_template';
  const answer = await http.get(path, {}, { accessToken });
  return objects(answer, 'template_list').map((item) => ({
    ...readTemplate(item),
    templateId: text(item, 'template_id', path),
  }));
}

/** What templates of both kinds have in common. */
export function readTemplate(item: Answer): Omit<MessageTemplate, 'templateId'> {
  const content = optionalText(item, 'content') ?? '';
  return {
    title: optionalText(item, 'title') ?? '',
    content,
    example: optionalText(item, 'example') ?? '',
    fields: readTemplateFields(content),
  };
}

export function toWireData(
  data: Readonly<Record<string, string>>,
): Record<string, { value: string }> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, { value }]));
}

/** The event that tells what became of a template message, as {@link EventPush.event} has it. */
export const TEMPLATE_RESULT_EVENT = 'templatesendjobfinish';

export interface TemplateResult {
  /** Null when WeChat names none, or 0. */
  msgid: string | null;
  /** `user_blocked`: the person refuses the account's messages. `throttled`: this person got too many. */
  outcome: 'delivered' | 'user_blocked' | 'throttled' | 'failed';
  /** WeChat's own words. */
  status: string;
}

/**
 * Reads {@link TEMPLATE_RESULT_EVENT}. Words that are not known count as `failed`.
 *
 * @param fields of the push
 * @see https://developers.weixin.qq.com/doc/service/guide/product/template_message/Template_Message_Interface.html
 */
export function readTemplateResult(fields: XmlObject): TemplateResult {
  const status = optionalText(fields, 'Status') ?? '';
  return {
    msgid: messageId(fields, 'MsgID') ?? messageId(fields, 'MsgId'),
    outcome: outcomeOf(
      status
        .trim()
        .toLowerCase()
        .replace(/\s*:\s*/, ':'),
    ),
    status,
  };
}

/** The last is in no document of WeChat's, and is seen in real pushes. */
function outcomeOf(status: string): TemplateResult['outcome'] {
  switch (status) {
    case 'success':
      return 'delivered';
    case 'failed:user block':
      return 'user_blocked';
    case 'failed:freq limit':
      return 'throttled';
    default:
      return 'failed';
  }
}
