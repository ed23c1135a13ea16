import { type Api, type ApiFamily, OK, Refusal, textOf } from './api.js';
import { callerOf, checkAbility, keepMessage, objectOf, recipientOf } from './sending.js';
import { randomMsgId, refusedWord } from './state.js';
import { wrongField } from './templates.js';

const STATES: readonly unknown[] = [undefined, 'formal', 'trial', 'developer'];

const send: Api = {
  token: 'authorizer',
  permissions: [18],
  handle: (call) => {
    const { body, world } = call;
    const account = callerOf(call);
    checkAbility(account, { isMiniProgram: true });
    const { openid, person } = recipientOf(call, account);
    const templateId = textOf(body, 'template_id', new Refusal(40037, 'invalid template_id'));
    const template = account.templates.find((one) => one.templateId === templateId);
    if (!template) throw new Refusal(40037, 'invalid template_id');
    if (template.isBanned) throw new Refusal(43107, 'subscribe message ability is banned');
    const page = typeof body['page'] === 'string' ? body['page'] : '';
    const name = page.replace(/^\//, '').split('?')[0] ?? '';
    if (page !== '' && account.pages && !account.pages.includes(name))
      throw new Refusal(41030, 'invalid page');
    if (!STATES.includes(body['miniprogram_state']))
      throw new Refusal(40097, 'invalid miniprogram_state');
    const data = objectOf(body, 'data');
    const wrong = wrongField(template, data);
    if (wrong !== null) throw new Refusal(47003, `argument invalid! data.${wrong}.value invalid`);
    if (refusedWord(account, data)) throw new Refusal(45168, 'hit sensitive word');
    const left = person.grants[templateId];
    if (left === undefined || left === 0) throw new Refusal(43101, 'user refuse to accept the msg');
    if (left !== null) person.grants[templateId] = left - 1;
    const msgid = randomMsgId();
    const spoilt = person.spoiltResults.shift();
    keepMessage(call, { kind: 'subscription_message', toUser: openid, msgid, isSeen: !spoilt });
    world.results.add({
      appid: account.appid,
      msgid,
      event: {
        receipt: {
          event: 'subscribe_msg_sent_event',
          openid,
          entries: [
            {
              TemplateId: templateId,
              MsgID: msgid,
              ErrorCode: spoilt ? (spoilt.errorCode ?? '-1') : '0',
              ErrorStatus: spoilt?.status ?? 'success',
            },
          ],
        },
      },
    });
    return { ...OK, msgid: BigInt(msgid) };
  },
};

const list: Api = {
  token: 'authorizer',
  method: 'GET',
  permissions: [18, 89],
  handle: (call) => {
    const account = callerOf(call);
    checkAbility(account, { isMiniProgram: true });
    return {
      ...OK,
      data: account.templates.map(({ templateId, title, content, example, type, values }) => ({
        priTmplId: templateId,
        title,
        content,
        example,
        type,
        keywordEnumValueList: Object.entries(values).map(([key, enumValueList]) => ({
          keywordCode: `${key}.DATA`,
          enumValueList,
        })),
      })),
    };
  },
};

export const subscriptionApi: ApiFamily = {
  '/cgi-bin/message/subscribe/send': send,
  '/wxaapi/newtmpl/gettemplate': list,
};
