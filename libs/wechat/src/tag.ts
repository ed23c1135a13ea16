import { number, object, objects, text } from './answer.js';
import type { WechatHttp } from './http.js';

/** A tag (标签) that an account puts on its followers. */
export interface Tag {
  id: number;
  name: string;
}

const TAGS = '/cgi-bin/tags';
const MAX_NAME_LENGTH = 30;
const MAX_PEOPLE = 50;

/**
 * Reads the account's tags, 100 at the most and three of WeChat's own, with how many people have each.
 *
 * @param accessToken the account's own
 * @throws WechatApiError 48001 for an account that is not verified
 * @see https://developers.weixin.qq.com/doc/service/api/usermanage/tag/api_gettags
 */
export async function listTags(
  http: WechatHttp,
  accessToken: string,
): Promise<(Tag & { people: number })[]> {
  const path = `${TAGS}/get`;
  const answer = await http.get(path, {}, { accessToken });
  return objects(answer, 'tags').map((tag) => ({
    id: number(tag, 'id', path),
    name: text(tag, 'name', path),
    people: number(tag, 'count', path),
  }));
}

/**
 * @param name 1..30 characters
 * @throws WechatApiError 45056 when the account has 100 already, 45157 when it has one of this name or WeChat does not
 *   like it
 * @throws RangeError for a name of another length
 * @see https://developers.weixin.qq.com/doc/service/api/usermanage/tag/api_createtag
 */
export async function createTag(http: WechatHttp, accessToken: string, name: string): Promise<Tag> {
  if (name.length < 1 || name.length > MAX_NAME_LENGTH)
    throw new RangeError('The name of a tag has 1..30 characters.');
  const path = `${TAGS}/create`;
  const answer = await http.post(path, { tag: { name } }, { accessToken });
  const tag = object(answer, 'tag', path);
  return { id: number(tag, 'id', path), name: text(tag, 'name', path) };
}

/**
 * Puts a tag on followers: on all of them or, when it is refused, on none. Who has it already keeps it.
 *
 * @param openids 1..50
 * @throws WechatApiError 40003 when one of them does not follow, 45059 when one has 20 tags already, 45159 for a tag that
 *   is not the account's
 * @throws RangeError for another number of people
 * @see https://developers.weixin.qq.com/doc/service/api/usermanage/tag/api_batchtagging
 */
export function tagPeople(
  http: WechatHttp,
  accessToken: string,
  tagId: number,
  openids: readonly string[],
): Promise<void> {
  return change(http, accessToken, 'batchtagging', tagId, openids);
}

/**
 * Takes a tag off followers. Who has it not stays as they are.
 *
 * @param openids 1..50
 * @throws WechatApiError as for {@link tagPeople}
 * @throws RangeError for another number of people
 * @see https://developers.weixin.qq.com/doc/service/api/usermanage/tag/api_batchuntagging
 */
export function untagPeople(
  http: WechatHttp,
  accessToken: string,
  tagId: number,
  openids: readonly string[],
): Promise<void> {
  return change(http, accessToken, 'batchuntagging', tagId, openids);
}

async function change(
  http: WechatHttp,
  accessToken: string,
  action: 'batchtagging' | 'batchuntagging',
  tagId: number,
  openids: readonly string[],
): Promise<void> {
  if (openids.length < 1 || openids.length > MAX_PEOPLE)
    throw new RangeError('1..50 people are tagged at once.');
  await http.post(
    `${TAGS}/members/${action}`,
    { tagid: tagId, openid_list: openids },
    { accessToken },
  );
}
