import type { Account } from '../account.entity.js';

/** Letters, digits, `_`, `.` and `-`, as user properties are named. */
export const PROPERTY_NAME = /^[A-Za-z_$][A-Za-z0-9_$.-]*$/;

const TEXT_TYPES = ['string', 'text'];

/** Whether a property of that type can hold an openid. */
export function isText(dataType: string): boolean {
  return TEXT_TYPES.includes(dataType.toLowerCase());
}

/** A property to propose for an account. */
export interface Suggestion {
  name: string;
  /** False: the marketing platform has to have it first, and where there is a catalogue, that too. */
  inCatalogue: boolean;
}

/**
 * Proposes a property for an account that has none: one of the catalogue that plainly is the account's and nobody
 * else's, or a name for a new one.
 *
 * @param catalogue every property of the tenant; empty where the platform has sent none
 * @param taken those that accounts of the tenant hold
 */
export function suggestProperty(
  account: Pick<Account, 'appid' | 'alias' | 'originalId' | 'nickname'>,
  catalogue: readonly { name: string; displayName: string; dataType: string }[],
  taken: ReadonlySet<string>,
): Suggestion {
  const names = [account.alias, account.originalId, account.appid].map(toWord).filter(Boolean);
  const free = catalogue.filter(({ name, dataType }) => isText(dataType) && !taken.has(name));
  const isOpenid = ({ name }: { name: string }): boolean => /open_?id/i.test(name);
  const { nickname } = account;
  const fitting =
    free.find(({ name }) => names.some((word) => toWord(name).includes(word))) ??
    free.find(
      (property) => isOpenid(property) && nickname && property.displayName.includes(nickname),
    );
  if (fitting) return { name: fitting.name, inCatalogue: true };
  const wanted = `wx_openid_${names[0]}`;
  const isTaken = taken.has(wanted) || catalogue.some(({ name }) => name === wanted);
  return {
    name: isTaken ? `wx_openid_${toWord(account.appid)}` : wanted,
    inCatalogue: false,
  };
}

function toWord(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '');
}
