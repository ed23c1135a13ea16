import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { create, type Font } from 'fontkit';

/** A bare machine has no font with Chinese: this one comes with us, cut into slices by what they hold. */
const FAMILY = 'noto-sans-sc';
const PACKAGE = `@fontsource-variable/${FAMILY}`;
/** To the side of the square that a letter stands in. */
export const UNITS = 1_000;

interface Slice {
  name: string;
  /** Code points, first and last. */
  ranges: readonly (readonly [number, number])[];
}

/** A character of the font, in units of the font. */
export interface Letter {
  character: string;
  path: string;
  width: number;
}

/** Texts as outlines: whoever looks at them needs no font. Only the slices that a text needs are read, once. */
class OutlineFont {
  #slices: Promise<Slice[]> | null = null;
  readonly #fonts = new Map<string, Promise<Font>>();
  readonly #folder = dirname(createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`));

  /** The letters of a text. What the font does not have, such as emoji, is left out. */
  async spell(text: string): Promise<Letter[]> {
    const letters: Letter[] = [];
    for (const character of text.normalize('NFC')) {
      const letter = await this.#letterOf(character);
      if (letter) letters.push(letter);
    }
    return letters;
  }

  async #letterOf(character: string): Promise<Letter | null> {
    const codePoint = character.codePointAt(0) ?? 0;
    const font = await this.#fontWith(codePoint);
    if (!font?.hasGlyphForCodePoint(codePoint)) return null;
    const glyph = font.glyphForCodePoint(codePoint);
    return { character, path: glyph.path.toSVG(), width: glyph.advanceWidth };
  }

  async #fontWith(codePoint: number): Promise<Font | null> {
    this.#slices ??= this.#readSlices();
    const slice = (await this.#slices).find(({ ranges }) =>
      ranges.some(([first, last]) => codePoint >= first && codePoint <= last),
    );
    if (!slice) return null;
    const known = this.#fonts.get(slice.name) ?? this.#readFont(slice.name);
    this.#fonts.set(slice.name, known);
    return known;
  }

  async #readSlices(): Promise<Slice[]> {
    const text = await readFile(join(this.#folder, 'unicode.json'), 'utf8');
    const ranges = JSON.parse(text) as Record<string, string>;
    return Object.entries(ranges).map(([name, list]) => ({
      name: name.replaceAll(/[[\]]/g, ''),
      ranges: list.split(',').map(readRange),
    }));
  }

  async #readFont(slice: string): Promise<Font> {
    const file = join(this.#folder, 'files', `${FAMILY}-${slice}-wght-normal.woff2`);
    const font = create(await readFile(file));
    if ('glyphForCodePoint' in font) return font;
    throw new TypeError(`${file} holds more than one font.`);
  }
}

/** The one of this process: its slices are read once. */
export const outlineFont = new OutlineFont();

/** E.g. `U+4e00-4e05` or `U+ff01`. */
function readRange(range: string): [number, number] {
  const [first = '', last = first] = range.replace('U+', '').split('-');
  return [Number.parseInt(first, 16), Number.parseInt(last, 16)];
}
