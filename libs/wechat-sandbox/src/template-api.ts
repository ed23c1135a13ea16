import { type Api, type ApiFamily, OK, Refusal, textOf } from './api.js';
import { callerOf, checkAbility, keepMessage, objectOf, recipientOf } from './sending.js';
import { randomMsgId, refusedWord } from './state.js';
import { wrongField } from './templates.js';

const TEMPLATE_PERMISSIONS = [7, 100, 101];
/** So long WeChat knows a client_msg_id. */
const REMEMBERED_MS = 10 * 60_000;

const send: Api = {
  token: 'authorizer',
  permissions: TEMPLATE_PERMISSIONS,
  handle: (call) => {
    const { body, world } = call;
    const account = callerOf(call);
    checkAbility(account, { isMiniProgram: false, isService: true });
    const { openid, person } = recipientOf(call, account);
    const templateId = textOf(body, 'template_id', new Refusal(40036, 'invalid template_id size'));
    const template = account.templates.find((one) => one.templateId === templateId);
    if (!template) throw new Refusal(40037, 'invalid template_id');
    if (template.isBanned) throw new Refusal(43116, 'this template is banned');
    const url = body['url'];
    if (typeof url === 'string' && url !== '' && !/^https?:\/\/\S{1,2000}$/.test(url))
      throw new Refusal(40039, 'invalid url size');
    const data = objectOf(body, 'data');
    const wrong = wrongField(template, data);
    if (wrong !== null) throw new Refusal(47003, `argument invalid! ${wrong}.DATA is invalid`);
    if (refusedWord(account, data))
      throw new Refusal(40249, 'template message contains marketing content');
    if (!person.isFollower) throw new Refusal(43004, 'require subscribe');
    if (person.isBlacklisted) throw new Refusal(43019, 'require remove blacklist');
    const clientMsgId = body['client_msg_id'];
    const key = typeof clientMsgId === 'string' ? `${openid} ${clientMsgId}` : null;
    const before = key === null ? undefined : account.clientMsgIds[key];
    if (before && world.now() - before.at < REMEMBERED_MS) return answer(before.msgid);
    const msgid = randomMsgId();
    if (key !== null) account.clientMsgIds[key] = { msgid, at: world.now() };
    const status = person.isBlocking
      ? 'failed:user block'
      : (person.spoiltResults.shift()?.status ?? 'success');
    keepMessage(call, {
      kind: 'template_message',
      toUser: openid,
      msgid,
      isSeen: status === 'success',
    });
    world.results.add({
      appid: account.appid,
      msgid,
      event: {
        fields: {
          FromUserName: openid,
          MsgType: 'event',
          Event: 'TEMPLATESENDJOBFINISH',
          MsgID: msgid,
          Status: status,
        },
      },
    });
    return answer(msgid);
  },
};

const list: Api = {
  token: 'authorizer',
  method: 'GET',
  permissions: TEMPLATE_PERMISSIONS,
  handle: (call) => {
    const account = callerOf(call);
    checkAbility(account, { isMiniProgram: false, isService: true });
    return {
      template_list: account.templates.map(({ templateId, title, content, example }) => ({
        template_id: templateId,
        title,
        primary_industry: '',
        deputy_industry: '',
        content,
        example,
      })),
    };
  },
};

export const templateApi: ApiFamily = {
  '/cgi-bin/message/template/send': send,
  '/cgi-bin/template/get_all_private_template': list,
};

function answer(msgid: string): object {
  return { ...OK, msgid: BigInt(msgid) };
}
