import { type ApiFamily, OK, Refusal, textOf } from './api.js';

/** Sending to people: so far, the customer-service message that a platform's release test needs. */
export const messageApi: ApiFamily = {
  '/cgi-bin/message/custom/send': {
    token: 'authorizer',
    permissions: [1, 19],
    handle: ({ body, world, tokenAppid, token }) => {
      const toUser = textOf(body, 'touser', new Refusal(40003, 'invalid openid'));
      world.data.messages.push({
        appid: tokenAppid ?? '',
        toUser,
        message: body,
        at: world.now(),
        authorizationCode: world.data.accessTokens[token ?? '']?.authorizationCode ?? null,
      });
      return OK;
    },
  },
};
