import { describe, expect, it } from '@jest/globals';

import { toPush } from './push.js';
import { isReleaseTestAccount, RELEASE_TEST_ACCOUNTS, releaseTestAnswer } from './release-test.js';

describe('the accounts of the release test', () => {
  it('are five of each type, each with an original id of its own', () => {
    const accounts = [...RELEASE_TEST_ACCOUNTS.values()];
    expect(accounts.filter(({ accountType }) => accountType === 'official_account')).toHaveLength(
      5,
    );
    expect(accounts.filter(({ accountType }) => accountType === 'mini_program')).toHaveLength(5);
    expect(new Set(accounts.map(({ originalId }) => originalId)).size).toBe(10);
    for (const [appid, { originalId }] of RELEASE_TEST_ACCOUNTS) {
      expect(appid).toMatch(/^wx[0-9a-f]{16}$/);
      expect(originalId).toMatch(/^gh_[0-9a-f]{12}$/);
    }
  });

  it.each([
    ['wx570bc396a51b8ff8', true],
    ['wx5910277cae6fd970', true],
    ['WX570BC396A51B8FF8', false],
    ['wx1badb002feedface', false],
    ['constructor', false],
    ['', false],
  ])('%s: %j', (appid, expected) => {
    expect(isReleaseTestAccount(appid)).toBe(expected);
  });
});

describe('releaseTestAnswer', () => {
  const message = (msgType: string, content: string) => ({ MsgType: msgType, Content: content });
  const event = (name: string) => ({ MsgType: 'event', Event: name });
  const code = 'queryauthcode@@@fixtureAuth02';

  it.each([
    [
      message('text', 'TESTCOMPONENT_MSG_TYPE_TEXT'),
      { kind: 'reply', content: 'TESTCOMPONENT_MSG_TYPE_TEXT_callback' },
    ],
    [
      message('text', `QUERY_AUTH_CODE:${code}`),
      { kind: 'query_auth', authorizationCode: code, content: `${code}_from_api` },
    ],
    [
      message('text', 'QUERY_AUTH_CODE:a:b '),
      { kind: 'query_auth', authorizationCode: 'a:b ', content: 'a:b _from_api' },
    ],
    [event('LOCATION'), { kind: 'reply', content: 'LOCATIONfrom_callback' }],
    [event('subscribe'), { kind: 'reply', content: 'subscribefrom_callback' }],
    [message('text', 'QUERY_AUTH_CODE:'), null],
    [message('text', 'query_auth_code:x'), null],
    [message('text', 'TESTCOMPONENT_MSG_TYPE_TEXT '), null],
    [message('text', ' QUERY_AUTH_CODE:x'), null],
    [message('text', '你好'), null],
    [message('image', 'TESTCOMPONENT_MSG_TYPE_TEXT'), null],
    [{ MsgType: 'text' }, null],
  ])('%j', (fields, expected) => {
    const push = toPush({
      ToUserName: 'gh_3c884a361561',
      FromUserName: 'oFixtureOpenId0000000000001',
      CreateTime: '1767225601',
      ...fields,
    });
    if (push.kind !== 'message' && push.kind !== 'event') throw new Error(push.kind);
    expect(releaseTestAnswer(push)).toEqual(expected);
  });
});
