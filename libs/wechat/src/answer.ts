import { WechatUnavailableError } from './errors.js';

/** WeChat's answer to a call, or an object inside one. */
export type Answer = Record<string, unknown>;

export function object(answer: Answer, name: string, path: string): Answer {
  const value = answer[name];
  if (!isObject(value)) throw badAnswer(path);
  return value;
}

export function text(answer: Answer, name: string, path: string): string {
  const value = optionalText(answer, name);
  if (value === null) throw badAnswer(path);
  return value;
}

/** An empty text is none. */
export function optionalText(answer: Answer, name: string): string | null {
  const value = answer[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

export function number(answer: Answer, name: string, path: string): number {
  const value = answer[name];
  if (typeof value !== 'number') throw badAnswer(path);
  return value;
}

/** A list of objects; a list that WeChat leaves out is an empty one. */
export function objects(answer: Answer, name: string): Answer[] {
  const value = answer[name];
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/**
 * The number of a message, as text: most have 19 digits, which no JavaScript number holds.
 *
 * @returns null when there is none, or 0 in its place
 */
export function messageId(answer: Readonly<Answer>, name: string): string | null {
  const value = answer[name];
  const id = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  return typeof id === 'string' && /^[1-9]\d{0,19}$/.test(id) ? id : null;
}

export function isObject(value: unknown): value is Answer {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function badAnswer(path: string): WechatUnavailableError {
  return new WechatUnavailableError(path, 'bad_answer');
}
