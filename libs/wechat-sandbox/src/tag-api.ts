import { type Api, type ApiCall, type ApiFamily, OK, Refusal, textOf } from './api.js';
import type { SandboxPerson } from './people.js';
import { callerOf, checkAbility, objectOf } from './sending.js';
import type { SandboxAccount } from './state.js';

const TAG_PERMISSIONS = [2];
/** Beside WeChat's own, whose ids are below. */
const MAX_TAGS = 100;
const FIRST_ID = 100;
const MAX_NAME_LENGTH = 30;
const MAX_PEOPLE = 50;
const MAX_TAGS_OF_A_PERSON = 20;

/** A tag that an account puts on its followers. */
export interface SandboxTag {
  id: number;
  name: string;
}

function accountOf(call: ApiCall): SandboxAccount {
  const account = callerOf(call);
  checkAbility(account, { isMiniProgram: false });
  return account;
}

const create: Api = {
  token: 'authorizer',
  permissions: TAG_PERMISSIONS,
  handle: (call) => {
    const { tags } = accountOf(call);
    const name = textOf(objectOf(call.body, 'tag'), 'name', new Refusal(45157, 'invalid tag name'));
    if (name.length > MAX_NAME_LENGTH) throw new Refusal(45158, 'tag name length too long');
    if (tags.some((tag) => tag.name === name)) throw new Refusal(45157, 'invalid tag name');
    const own = tags.filter(({ id }) => id >= FIRST_ID);
    if (own.length >= MAX_TAGS) throw new Refusal(45056, 'too many tag now, please delete some');
    const tag = { id: Math.max(FIRST_ID - 1, ...own.map(({ id }) => id)) + 1, name };
    tags.push(tag);
    return { tag };
  },
};

const list: Api = {
  token: 'authorizer',
  method: 'GET',
  permissions: TAG_PERMISSIONS,
  handle: (call) => {
    const { tags, people } = accountOf(call);
    const countOf = (id: number): number =>
      Object.values(people).filter(({ tagIds }) => tagIds.includes(id)).length;
    return { tags: tags.map((tag) => ({ ...tag, count: countOf(tag.id) })) };
  },
};

/** For all of the people or, where one cannot be tagged, for none. */
function change(
  check: (person: SandboxPerson, tagId: number) => void,
  tagsAfter: (others: number[], tagId: number) => number[],
): Api {
  return {
    token: 'authorizer',
    permissions: TAG_PERMISSIONS,
    handle: (call) => {
      const { tags, people } = accountOf(call);
      const { tagid: tagId, openid_list: openids } = call.body;
      if (!Array.isArray(openids) || openids.length < 1 || openids.length > MAX_PEOPLE)
        throw new Refusal(40032, 'invalid openid list size');
      const tag = tags.find(({ id }) => id === tagId);
      if (!tag) throw new Refusal(45159, 'invalid tag id');
      const tagged = openids.map((openid: unknown) => {
        const person =
          typeof openid === 'string' && Object.hasOwn(people, openid) ? people[openid] : undefined;
        if (!person?.isFollower) throw new Refusal(40003, 'invalid openid');
        check(person, tag.id);
        return person;
      });
      for (const person of tagged)
        person.tagIds = tagsAfter(
          person.tagIds.filter((id) => id !== tag.id),
          tag.id,
        );
      return OK;
    },
  };
}

function checkCount({ tagIds }: SandboxPerson, tagId: number): void {
  if (!tagIds.includes(tagId) && tagIds.length >= MAX_TAGS_OF_A_PERSON)
    throw new Refusal(45059, 'some users of this batch have too many tags');
}

export const tagApi: ApiFamily = {
  '/cgi-bin/tags/create': create,
  '/cgi-bin/tags/get': list,
  '/cgi-bin/tags/members/batchtagging': change(checkCount, (others, id) => [...others, id]),
  '/cgi-bin/tags/members/batchuntagging': change(
    () => {},
    (others) => others,
  ),
};
