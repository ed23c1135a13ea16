import { SaxesParser } from 'saxes';

import { PushError } from './push-error.js';

export type XmlValue = string | XmlObject | XmlValue[];

/** Elements by name, in their order. It has no prototype: a hostile name is a name like any other. */
export interface XmlObject {
  [name: string]: XmlValue;
}

/** WeChat nests three deep at the most. */
const MAX_DEPTH = 6;
/** Elements that WeChat repeats: lists of items in events. Any other name twice is an attack or a fault. */
const REPEATED = new Set(['item', 'list']);

interface OpenElement {
  name: string;
  text: string;
  children: XmlObject | null;
}

/**
 * Reads a push's XML strictly.
 *
 * Every value stays text. Refused: anything but a root `<xml>`, DOCTYPE, entities other than XML's own five and
 * numeric ones, processing instructions, attributes, text between elements, an element twice (parsers disagree on
 * which of them counts), and more than six levels.
 *
 * @returns the root's children; an empty element is an empty text, a repeated list element an array
 * @throws PushError `unparsable`
 * @see https://www.w3.org/TR/xml/
 */
export function parseXml(text: string): XmlObject {
  const reader = spare ?? new Reader();
  spare = null;
  try {
    const fields = reader.read(text);
    spare = reader;
    return fields;
  } catch {
    // The parser's own words quote the document, which may hold a person's message.
    throw new PushError('unparsable');
  }
}

/** Making a parser costs as much as reading a push. One that has refused a document is not used again. */
let spare: Reader | null = null;

class Reader {
  readonly #parser = new SaxesParser({ xmlns: false, position: false });
  #open: OpenElement[] = [];
  #root: OpenElement | null = null;

  constructor() {
    const parser = this.#parser;
    parser.on('error', (error) => {
      throw error;
    });
    parser.on('doctype', () => refuse('doctype'));
    parser.on('processinginstruction', () => refuse('processing instruction'));
    parser.on('opentag', ({ name, attributes }) => this.#begin(name, attributes));
    parser.on('text', (piece) => this.#addText(piece));
    parser.on('cdata', (piece) => this.#addText(piece));
    parser.on('closetag', () => this.#end());
  }

  read(text: string): XmlObject {
    this.#open = [];
    this.#root = null;
    this.#parser.write(text).close();
    const root = this.#root as OpenElement | null;
    if (!root) return refuse('empty');
    if (!root.children && root.text.trim()) refuse('text in the root');
    return root.children ?? emptyObject();
  }

  #begin(name: string, attributes: object): void {
    for (const _name in attributes) refuse('attributes');
    const depth = this.#open.length;
    if (depth >= MAX_DEPTH) refuse('too deep');
    const parent = this.#open[depth - 1];
    if (parent) parent.children ??= emptyObject();
    else if (name !== 'xml') refuse('root');
    this.#open.push({ name, text: '', children: null });
  }

  #addText(piece: string): void {
    const element = this.#open[this.#open.length - 1];
    if (element) element.text += piece;
    else if (piece.trim()) refuse('text outside the root');
  }

  #end(): void {
    const element = this.#open.pop();
    if (!element) return;
    const { name, text, children } = element;
    if (children && text.trim()) refuse('mixed content');
    const parent = this.#open[this.#open.length - 1];
    if (parent?.children) add(parent.children, name, children ?? text);
    else this.#root = element;
  }
}

function refuse(what: string): never {
  throw new Error(what);
}

function add(to: XmlObject, name: string, value: XmlValue): void {
  const present = to[name];
  if (present === undefined) {
    to[name] = value;
    return;
  }
  if (!REPEATED.has(name.toLowerCase())) throw new Error('duplicate element');
  if (Array.isArray(present)) present.push(value);
  else to[name] = [present, value];
}

function emptyObject(): XmlObject {
  return Object.create(null) as XmlObject;
}

/** What {@link buildXml} writes: text as CDATA, numbers bare, objects nested, arrays as repeated elements. */
export interface XmlInput {
  [name: string]: string | number | XmlInput | XmlInput[];
}

/**
 * Writes a document under `<xml>`.
 *
 * @param fields names must be XML names; texts may hold anything, `]]>` too
 * @returns one line without a declaration
 */
export function buildXml(fields: XmlInput): string {
  return `<xml>${buildElements(fields)}</xml>`;
}

function buildElements(fields: XmlInput): string {
  return Object.entries(fields)
    .flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value]).map((one) => buildElement(name, one)),
    )
    .join('');
}

function buildElement(name: string, value: string | number | XmlInput): string {
  if (typeof value === 'number') return `<${name}>${value}</${name}>`;
  if (typeof value === 'object') return `<${name}>${buildElements(value)}</${name}>`;
  return `<${name}><![CDATA[${value.replaceAll(']]>', ']]]]><![CDATA[>')}]]></${name}>`;
}
