import { messageId, objects, optionalText, text } from './answer.js';
import type { WechatHttp } from './http.js';
import { type MessageTemplate, readTemplate, toWireData } from './template-message.js';

/** A subscription message (订阅消息) of a mini-program to one of its users. */
export interface SubscriptionMessage {
  openid: string;
  templateId: string;
  /** By the fields' keys, e.g. `thing1`, without `.DATA`. All of the template's. */
  data: Readonly<Record<string, string>>;
  /** A page of this mini-program, which may carry a query; without one a tap opens nothing. */
  page?: string | undefined;
  /** Which version a tap opens; default `formal`. */
  miniProgramState?: 'formal' | 'trial' | 'developer' | undefined;
  /** Of the mini-program's frame; default `zh_CN`. */
  lang?: 'zh_CN' | 'en_US' | 'zh_HK' | 'zh_TW' | undefined;
}

/**
 * Sends a subscription message. It takes one of the person's consents to the template, unless it is a long-term one.
 * WeChat has no id that makes a repetition harmless: a lost answer must not be followed by a second try.
 *
 * @param accessToken the mini-program's own
 * @returns the number that `subscribe_msg_sent_event` names; null where WeChat gives none
 * @throws WechatApiError 43101 when there is no consent left, 40037 for a template that is not the mini-program's, 41030
 *   for a page that it does not have, 47003 for a field ({@link refusedField}), 43108 for two at a time to one person
 * @see https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-message-management/subscribe-message/sendMessage.html
 */
export async function sendSubscriptionMessage(
  http: WechatHttp,
  accessToken: string,
  message: SubscriptionMessage,
): Promise<{ msgid: string | null }> {
  const { openid, templateId, data, page, miniProgramState, lang } = message;
  const answer = await http.post(
    '/cgi-bin/message/subscribe/send',
    {
      touser: openid,
      template_id: templateId,
      ...(page !== undefined && { page }),
      data: toWireData(data),
      // Called optional and required on the same page: sent always.
      miniprogram_state: miniProgramState ?? 'formal',
      lang: lang ?? 'zh_CN',
    },
    { accessToken },
  );
  return { msgid: messageId(answer, 'msgid') };
}

/** A subscription template that an account has chosen. */
export interface SubscriptionTemplate extends MessageTemplate {
  /** `one_time`: each consent is good for one message. */
  consent: 'one_time' | 'long_term';
}

const LONG_TERM = 3;

/**
 * Reads the account's subscription templates, 25 at the most. WeChat allows few calls a day: keep the answer.
 *
 * @see https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-message-management/subscribe-message/getTemplateList.html
 */
export async function listSubscriptionTemplates(
  http: WechatHttp,
  accessToken: string,
): Promise<SubscriptionTemplate[]> {
  const path = '/wxaapi/newtmpl/gettemplate';
  const answer = await http.get(path, {}, { accessToken });
  return objects(answer, 'data').map((item) => {
    const template = readTemplate(item);
    const values = new Map(
      objects(item, 'keywordEnumValueList').map((list) => [
        // With and without the ending, as it stands in the content.
        (optionalText(list, 'keywordCode') ?? '').replace(/\.DATA$/, ''),
        textsOf(list['enumValueList']),
      ]),
    );
    return {
      ...template,
      templateId: text(item, 'priTmplId', path),
      consent: item['type'] === LONG_TERM ? 'long_term' : 'one_time',
      fields: template.fields.map((field) => ({
        ...field,
        values: values.get(field.key) ?? null,
      })),
    };
  });
}

function textsOf(value: unknown): string[] | null {
  const texts = Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  return texts.length > 0 ? texts : null;
}
