import { type Api, type ApiCall, type ApiFamily, OK, Refusal, textOf } from './api.js';
import { checkMediaId } from './media-api.js';
import type { SandboxPerson } from './people.js';
import { callerOf, checkAbility, keepMessage, objectOf, recipientOf } from './sending.js';
import {
  randomMsgId,
  refusedWord,
  type SandboxAccount,
  type SandboxBroadcast,
  shanghaiDay,
  shanghaiMonth,
} from './state.js';

const MASS_PERMISSIONS = [7];
const SERVICE_ACCOUNT = 2;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const MAX_CLIENT_MSG_ID_BYTES = 32;
const MONTHLY_BROADCASTS = 4;
const MAX_RECIPIENTS = 10_000;

const preview: Api = {
  token: 'authorizer',
  permissions: MASS_PERMISSIONS,
  handle: (call) => {
    const account = callerOf(call);
    checkAbility(account, { isMiniProgram: false });
    const { towxname } = call.body;
    const isByName = typeof towxname === 'string' && towxname !== '';
    const openid = isByName ? towxname : checkFollower(call, account);
    checkContent(call, account, 'image');
    const msgid = randomMsgId();
    keepMessage(call, { kind: 'broadcast', toUser: openid, msgid, isSeen: true });
    return { errcode: 0, errmsg: 'preview success', msg_id: BigInt(msgid) };
  },
};

function checkFollower(call: ApiCall, account: SandboxAccount): string {
  const { openid, person } = recipientOf(call, account);
  if (!person.isFollower) throw new Refusal(43004, 'require subscribe');
  return openid;
}

/** The form in which a broadcast has its images, and a preview its one, differ. */
function checkContent(call: ApiCall, account: SandboxAccount, images: 'image' | 'images'): void {
  const type = textOf(call.body, 'msgtype', new Refusal(40008, 'invalid message type'));
  const content = objectOf(call.body, type === 'image' ? images : type);
  switch (type) {
    case 'text':
      textOf(content, 'content', new Refusal(44004, 'empty content'));
      break;
    case 'image': {
      const ids = images === 'image' ? [content['media_id']] : content['media_ids'];
      if (!Array.isArray(ids) || ids.length === 0) throw new Refusal(40007, 'invalid media_id');
      for (const id of ids) checkMediaId(call, id);
      break;
    }
    case 'mpnews':
    case 'voice':
    case 'mpvideo':
      checkMediaId(call, content['media_id']);
      break;
    default:
      throw new Refusal(40008, 'invalid message type');
  }
  if (refusedWord(account, content)) throw new Refusal(45168, 'hit sensitive word');
}

/** The two that broadcast differ by whom they go to. */
function send(
  openidsOf: (call: ApiCall, account: SandboxAccount) => string[],
  isService: boolean,
): Api {
  return {
    token: 'authorizer',
    permissions: MASS_PERMISSIONS,
    handle: (call) => {
      const { world, body } = call;
      const account = callerOf(call);
      checkAbility(account, { isMiniProgram: false, isService });
      const clientMsgId = typeof body['clientmsgid'] === 'string' ? body['clientmsgid'] : null;
      if (clientMsgId !== null) checkRepetition(account, clientMsgId, world.now());
      const openids = openidsOf(call, account);
      checkContent(call, account, 'images');
      checkPeriod(account, world.now());
      const msgid = randomMsgId();
      const reached = openids.filter((openid) => reach(account.people[openid], world.now()));
      const broadcast: SandboxBroadcast = {
        msgid,
        clientMsgId,
        at: world.now(),
        status: 'SEND_SUCCESS',
      };
      account.broadcasts.push(broadcast);
      for (const toUser of reached)
        keepMessage(call, { kind: 'broadcast', toUser, msgid, isSeen: true });
      tell(call, account, msgid, openids.length, reached.length);
      return {
        errcode: 0,
        errmsg: 'send job submission success',
        msg_id: BigInt(msgid),
        ...(body['msgtype'] === 'mpnews' && { msg_data_id: 2_247_484_106 }),
      };
    },
  };
}

function checkRepetition(account: SandboxAccount, clientMsgId: string, now: number): void {
  if (Buffer.byteLength(clientMsgId) > MAX_CLIENT_MSG_ID_BYTES)
    throw new Refusal(45067, 'clientmsgid size out of limit');
  const before = account.broadcasts.findLast((one) => one.clientMsgId === clientMsgId);
  if (!before || now - before.at >= DAY_MS) return;
  if (now - before.at < MINUTE_MS) throw new Refusal(45066, 'same clientmsgid retry too fast');
  throw new Refusal(45065, 'clientmsgid exist', { msg_id: BigInt(before.msgid) });
}

/** A subscription account has one a day; of a service account, each person gets four a month. */
function checkPeriod({ serviceType, broadcasts }: SandboxAccount, now: number): void {
  const hasSent = broadcasts.some(({ at }) => shanghaiDay(at) === shanghaiDay(now));
  if (serviceType !== SERVICE_ACCOUNT && hasSent) throw new Refusal(45028, 'has no masssend quota');
}

function reach(person: SandboxPerson | undefined, now: number): boolean {
  if (!person?.isFollower || person.isBlocking || person.isBlacklisted) return false;
  const month = shanghaiMonth(now);
  const had = person.broadcasts[month] ?? 0;
  if (had >= MONTHLY_BROADCASTS) return false;
  person.broadcasts[month] = had + 1;
  return true;
}

function tell(
  { world }: ApiCall,
  { appid }: SandboxAccount,
  msgid: string,
  total: number,
  reached: number,
): void {
  world.results.add({
    appid,
    msgid,
    event: {
      fields: {
        FromUserName: 'mphelper',
        MsgType: 'event',
        Event: 'MASSSENDJOBFINISH',
        MsgID: msgid,
        Status: 'send success',
        TotalCount: total,
        FilterCount: reached,
        SentCount: reached,
        ErrorCount: 0,
      },
    },
  });
}

function byFilter({ body }: ApiCall, { people }: SandboxAccount): string[] {
  const { is_to_all: isToAll, tag_id: tagId } = objectOf(body, 'filter');
  const followers = Object.entries(people).filter(([, { isFollower }]) => isFollower);
  if (isToAll === true) return followers.map(([openid]) => openid);
  const tagged = followers.filter(([, { tagIds }]) => tagIds.includes(Number(tagId)));
  if (tagged.length === 0) throw new Refusal(45159, 'invalid tag id');
  return tagged.map(([openid]) => openid);
}

function byList({ body }: ApiCall): string[] {
  const list = body['touser'];
  if (!Array.isArray(list) || !list.every((openid) => typeof openid === 'string'))
    throw new Refusal(40031, 'invalid openid list');
  if (list.length < 2) throw new Refusal(40130, 'invalid openid list size, at least two openid');
  if (list.length > MAX_RECIPIENTS) throw new Refusal(40032, 'invalid openid list size');
  return list;
}

const get: Api = {
  token: 'authorizer',
  permissions: MASS_PERMISSIONS,
  handle: (call) => {
    const { msgid, status } = broadcastOf(call);
    return { msg_id: BigInt(msgid), msg_status: status };
  },
};

const remove: Api = {
  token: 'authorizer',
  permissions: MASS_PERMISSIONS,
  handle: (call) => {
    broadcastOf(call).status = 'DELETE';
    return OK;
  },
};

function broadcastOf(call: ApiCall): SandboxBroadcast {
  const found = callerOf(call).broadcasts.find(({ msgid }) => msgid === call.body['msg_id']);
  if (!found) throw new Refusal(40059, 'invalid msg id');
  return found;
}

export const broadcastApi: ApiFamily = {
  '/cgi-bin/message/mass/preview': preview,
  '/cgi-bin/message/mass/sendall': send(byFilter, false),
  '/cgi-bin/message/mass/send': send(byList, true),
  '/cgi-bin/message/mass/get': get,
  '/cgi-bin/message/mass/delete': remove,
};
