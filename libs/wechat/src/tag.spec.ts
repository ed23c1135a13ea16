import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { createTag, listTags, tagPeople, untagPeople } from './tag.js';
import { type Stub, startStub } from './vectors/stub.js';

let stub: Stub;
beforeEach(async () => {
  stub = await startStub();
});
afterEach(() => stub.close());

const openids = (count: number): string[] =>
  Array.from({ length: count }, (_, place) => `oPerson${place}`);

describe('listTags', () => {
  it('reads them with how many people have each', async () => {
    stub.answer =
      '{"tags":[{"id":2,"name":"星标组","count":0},{"id":101,"name":"会员","count":7}]}';
    expect(await listTags(stub.http, '71_a')).toEqual([
      { id: 2, name: '星标组', people: 0 },
      { id: 101, name: '会员', people: 7 },
    ]);
    expect(stub.sent).toMatchObject({
      method: 'GET',
      url: '/cgi-bin/tags/get?access_token=71_a',
    });
  });

  it('finds none where WeChat lists none, and refuses one without an id', async () => {
    stub.answer = '{}';
    expect(await listTags(stub.http, '71_a')).toEqual([]);
    stub.answer = '{"tags":[{"name":"x","count":0}]}';
    await expect(listTags(stub.http, '71_a')).rejects.toMatchObject({ failure: 'bad_answer' });
  });
});

describe('createTag', () => {
  it('brings back the id', async () => {
    stub.answer = '{"tag":{"id":134,"name":"广东"}}';
    expect(await createTag(stub.http, '71_a', '广东')).toEqual({ id: 134, name: '广东' });
    expect(stub.sent.url).toBe('/cgi-bin/tags/create?access_token=71_a');
    expect(stub.body()).toEqual({ tag: { name: '广东' } });
  });

  it.each(['', 'x'.repeat(31)])('asks nothing for the name %j', async (name) => {
    await expect(createTag(stub.http, '71_a', name)).rejects.toThrow(RangeError);
    expect(stub.sent.method).toBe('');
  });

  it('throws what WeChat refuses, and takes no answer without a tag', async () => {
    stub.answer = '{"errcode":45157,"errmsg":"invalid tag name"}';
    await expect(createTag(stub.http, '71_a', 'x')).rejects.toMatchObject({ errcode: 45157 });
    stub.answer = '{"errcode":0,"errmsg":"ok"}';
    await expect(createTag(stub.http, '71_a', 'x')).rejects.toMatchObject({
      failure: 'bad_answer',
    });
  });
});

describe.each([
  ['tagPeople', tagPeople, 'batchtagging'],
  ['untagPeople', untagPeople, 'batchuntagging'],
] as const)('%s', (_name, call, action) => {
  it('takes fifty people at once', async () => {
    await call(stub.http, '71_a', 134, openids(50));
    expect(stub.sent).toMatchObject({
      method: 'POST',
      url: `/cgi-bin/tags/members/${action}?access_token=71_a`,
    });
    expect(stub.body()).toEqual({ tagid: 134, openid_list: openids(50) });
  });

  it.each([0, 51])('and not %i', async (count) => {
    await expect(call(stub.http, '71_a', 134, openids(count))).rejects.toThrow(RangeError);
    expect(stub.sent.method).toBe('');
  });

  it('throws what WeChat refuses', async () => {
    stub.answer = '{"errcode":45059,"errmsg":"out of tag count"}';
    await expect(call(stub.http, '71_a', 134, openids(1))).rejects.toMatchObject({
      errcode: 45059,
      errorClass: 'audience_invalid',
    });
  });
});
