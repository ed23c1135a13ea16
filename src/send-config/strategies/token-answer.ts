import { SendTokenError } from '../send-failure.js';

/** Where token servers have it, unless a pointer says where. */
const TOKEN_POINTERS = [
  '/access_token',
  '/accessToken',
  '/data/access_token',
  '/data/accessToken',
  '/result/access_token',
  '/result/accessToken',
];
const EXPIRY_NAMES = [
  'expires_in',
  'expiresIn',
  'expire_time',
  'expireTime',
  'expires_at',
  'expiresAt',
];

/** What WeChat's tokens look like, with room for longer ones. */
const TOKEN = /^[\w-]{20,1024}$/;
/** Above it, a number is a moment in seconds and no number of seconds: 2001. */
const SECONDS_EPOCH = 1e9;
/** Above it, in milliseconds. */
const MILLISECONDS_EPOCH = 1e12;

/**
 * Reads what a customer's token server answers: JSON, flat or nested, or the bare token.
 *
 * @param pointers where token and expiry are (RFC 6901); null looks in the usual places
 * @returns `saidSeconds` from `now` on, below zero when it is over; null when nothing is said
 * @throws SendTokenError with the step `pointer` or `token`
 */
export function readTokenAnswer(
  text: string,
  pointers: { tokenPointer: string | null; expiresPointer: string | null },
  now: Date,
): { accessToken: string; saidSeconds: number | null } {
  const { tokenPointer, expiresPointer } = pointers;
  const trimmed = text.replace(/^\uFEFF/, '').trim();
  const isBare = tokenPointer === null && expiresPointer === null && TOKEN.test(trimmed);
  if (isBare) return { accessToken: trimmed, saidSeconds: null };
  const answer = parse(trimmed);
  const places = tokenPointer === null ? ['', ...TOKEN_POINTERS] : [tokenPointer];
  const found = places.find((pointer) => typeof valueAt(answer, pointer) === 'string');
  const accessToken = found === undefined ? undefined : valueAt(answer, found);
  if (found === undefined || typeof accessToken !== 'string' || accessToken === '')
    throw new SendTokenError({ step: 'pointer', reason: 'no_token' });
  if (!TOKEN.test(accessToken)) throw new SendTokenError({ step: 'token', reason: 'shape' });
  return { accessToken, saidSeconds: readExpiry(answer, found, expiresPointer, now) };
}

function readExpiry(
  answer: unknown,
  tokenPointer: string,
  expiresPointer: string | null,
  now: Date,
): number | null {
  if (expiresPointer !== null) {
    const seconds = toSeconds(valueAt(answer, expiresPointer), now);
    if (seconds === null) throw new SendTokenError({ step: 'pointer', reason: 'no_expiry' });
    return seconds;
  }
  const beside = tokenPointer.slice(0, Math.max(0, tokenPointer.lastIndexOf('/')));
  for (const name of EXPIRY_NAMES) {
    const seconds = toSeconds(valueAt(answer, `${beside}/${name}`), now);
    if (seconds !== null) return seconds;
  }
  return null;
}

/** Seconds, or a moment in seconds or milliseconds; as a number or its digits. */
function toSeconds(value: unknown, now: Date): number | null {
  const isNumber =
    typeof value === 'number' || (typeof value === 'string' && /^\d{1,16}(\.\d+)?$/.test(value));
  const number = isNumber ? Number(value) : NaN;
  if (!Number.isFinite(number) || number < 0) return null;
  if (number <= SECONDS_EPOCH) return Math.floor(number);
  const ms = number > MILLISECONDS_EPOCH ? number : number * 1000;
  return Math.floor((ms - now.getTime()) / 1000);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new SendTokenError({ step: 'pointer', reason: 'not_json' });
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc6901.html */
function valueAt(document: unknown, pointer: string): unknown {
  const names = pointer.split('/').slice(1);
  return names.reduce<unknown>((value, name) => {
    if (typeof value !== 'object' || value === null) return undefined;
    const key = name.replaceAll('~1', '/').replaceAll('~0', '~');
    return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
  }, document);
}
