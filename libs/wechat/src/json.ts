import { parse } from 'lossless-json';

import { PushError } from './push-error.js';
import type { XmlObject, XmlValue } from './xml.js';

const MAX_DEPTH = 8;

/**
 * Reads a push's JSON strictly. Numbers stay the text that stands there: ids have 19 digits.
 *
 * @returns texts, objects and arrays only, as from XML: `true` reads "true", `null` reads ""
 * @throws PushError `unparsable` for anything but an object, a name twice, or more than eight levels
 * @see https://www.rfc-editor.org/rfc/rfc8259.html
 */
export function parsePushJson(text: string): XmlObject {
  let value: unknown;
  try {
    checkStructure(text);
    value = parse(text, undefined, (literal) => literal);
  } catch {
    throw new PushError('unparsable');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new PushError('unparsable');
  return toFields(value);
}

/**
 * Reads WeChat's answer to a call. Whole numbers beyond 2^53, such as message ids, come as text; others as numbers.
 *
 * @throws SyntaxError when it is not JSON
 */
export function parseApiJson(text: string): unknown {
  return parse(text, undefined, (literal) => {
    const number = Number(literal);
    return Number.isInteger(number) && !Number.isSafeInteger(number) ? literal : number;
  });
}

function toFields(value: object): XmlObject {
  const fields = Object.create(null) as XmlObject;
  for (const [name, inner] of Object.entries(value)) fields[name] = toValue(inner);
  return fields;
}

function toValue(value: unknown): XmlValue {
  if (Array.isArray(value)) return value.map(toValue);
  if (typeof value === 'object' && value !== null) return toFields(value);
  return typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value);
}

/**
 * Refuses what is too deep and names that stand twice in an object, before parsing: a parser that recurses dies of
 * the first, and parsers disagree on which of two values counts. Anything else wrong is left to the parser.
 */
function checkStructure(text: string): void {
  const names: Set<string>[] = [];
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') names.push(new Set());
    else if (token === '}' || token === ']') names.pop();
    else if (token.endsWith(':')) {
      const name = JSON.parse(token.slice(0, -1)) as string;
      if (names.at(-1)?.has(name)) throw new SyntaxError('duplicate name');
      names.at(-1)?.add(name);
    }
    if (names.length > MAX_DEPTH) throw new SyntaxError('too deep');
  }
}

/**
 * A bracket, or a text with the colon that makes it a name. It always matches a text that it has begun, at the latest
 * at the end of the input: so it never looks at a character twice.
 */
const TOKEN = /[[\]{}]|"(?:[^"\\]|\\.?)*(?:"(?:\s*:)?|$)/gs;
