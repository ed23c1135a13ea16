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
  if (depthOf(text) > MAX_DEPTH) throw new PushError('unparsable');
  let value: unknown;
  try {
    value = parse(text, undefined, {
      parseNumber: (literal) => literal,
      onDuplicateKey: () => {
        throw new SyntaxError('duplicate key');
      },
    });
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
  return parse(text, undefined, {
    parseNumber: (literal) => {
      const number = Number(literal);
      return Number.isInteger(number) && !Number.isSafeInteger(number) ? literal : number;
    },
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

/** Counted before parsing: a parser that recurses dies of what it should refuse. */
function depthOf(text: string): number {
  let [depth, deepest, isText] = [0, 0, false];
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (isText) {
      if (char === '\\') at++;
      else if (char === '"') isText = false;
    } else if (char === '"') isText = true;
    else if (char === '{' || char === '[') deepest = Math.max(deepest, ++depth);
    else if (char === '}' || char === ']') depth--;
  }
  return deepest;
}
