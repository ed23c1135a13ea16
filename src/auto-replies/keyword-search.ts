import { Breath } from '../common/breath.js';

const ROOT = 0;
const NONE = -1;
/** Between two looks at the time. */
const WORDS_IN_A_ROW = 64;
const NODES_IN_A_ROW = 4_096;

/**
 * Finds which of many words a text contains, in one walk over the text however many words there are (Aho and Corasick,
 * 1975). Words and texts are compared by UTF-16 units: where both are well-formed, a find never begins or ends inside a
 * character.
 */
export class KeywordSearch {
  readonly #edges: Edges;
  /** Of each node, the node of its longest proper suffix that is a beginning of a word. */
  readonly #suffix: Int32Array;
  /** Of each node, the next one along its suffixes where a word ends; itself first. */
  readonly #ending: Int32Array;
  /** Of each node, the number of the word that ends there. */
  readonly #word: Int32Array;

  #nodes = 1;

  /** @param most nodes */
  private constructor(most: number) {
    this.#edges = new Edges(most);
    this.#suffix = new Int32Array(most);
    this.#ending = new Int32Array(most).fill(NONE);
    this.#word = new Int32Array(most).fill(NONE);
  }

  /**
   * Of a million letters it takes a second, in which others have their turn.
   *
   * @param words each once, none of them empty; a find is told by its place
   */
  static async of(words: readonly string[], breath = new Breath()): Promise<KeywordSearch> {
    const search = new KeywordSearch(1 + words.reduce((sum, { length }) => sum + length, 0));
    await search.#grow(words, breath);
    await search.#findEndings(breath);
    return search;
  }

  /** Calls `found` with the place of each word that the text contains, once for each. */
  search(text: string, found: (word: number) => void): void {
    const seen = new Set<number>();
    let node = ROOT;
    for (let at = 0; at < text.length; at++) {
      node = this.#step(node, text.charCodeAt(at));
      // What is behind a node that was seen before was seen with it.
      for (let end = this.#ending[node] ?? NONE; end !== NONE && !seen.has(end);) {
        seen.add(end);
        found(this.#word[end] ?? NONE);
        end = this.#ending[this.#suffix[end] ?? ROOT] ?? NONE;
      }
    }
  }

  /** All words by one letter more at a time: so everything that a suffix can lead to is there before it is needed. */
  async #grow(words: readonly string[], breath: Breath): Promise<void> {
    const reached = new Int32Array(words.length);
    const longest = words.reduce((most, { length }) => Math.max(most, length), 0);
    for (let at = 0; at < longest; at++)
      for (const [place, word] of words.entries()) {
        if (place % WORDS_IN_A_ROW === 0) await breath.take();
        if (at >= word.length) continue;
        const node = this.#childOf(reached[place] ?? ROOT, word.charCodeAt(at));
        reached[place] = node;
        if (at === word.length - 1) this.#word[node] = place;
      }
  }

  async #findEndings(breath: Breath): Promise<void> {
    for (let node = 1; node < this.#nodes; node++) {
      if (node % NODES_IN_A_ROW === 0) await breath.take();
      const suffix = this.#ending[this.#suffix[node] ?? ROOT] ?? NONE;
      this.#ending[node] = this.#word[node] === NONE ? suffix : node;
    }
  }

  #childOf(parent: number, unit: number): number {
    const known = this.#edges.get(parent, unit);
    if (known !== NONE) return known;
    const node = this.#nodes++;
    this.#suffix[node] = parent === ROOT ? ROOT : this.#step(this.#suffix[parent] ?? ROOT, unit);
    this.#edges.add(parent, unit, node);
    return node;
  }

  #step(from: number, unit: number): number {
    let node = from;
    let next = this.#edges.get(node, unit);
    while (next === NONE && node !== ROOT) {
      node = this.#suffix[node] ?? ROOT;
      next = this.#edges.get(node, unit);
    }
    return next === NONE ? ROOT : next;
  }
}

/**
 * The edges of a trie in one open-addressed table: a Map for each node would cost hundreds of bytes for every letter of
 * every word.
 */
class Edges {
  readonly #nodes: Int32Array;
  readonly #units: Uint16Array;
  readonly #targets: Int32Array;
  readonly #mask: number;

  constructor(most: number) {
    const size = 2 ** Math.ceil(Math.log2(most * 2 + 1));
    this.#nodes = new Int32Array(size);
    this.#units = new Uint16Array(size);
    this.#targets = new Int32Array(size).fill(NONE);
    this.#mask = size - 1;
  }

  get(node: number, unit: number): number {
    return this.#targets[this.#placeOf(node, unit)] ?? NONE;
  }

  add(node: number, unit: number, target: number): void {
    const place = this.#placeOf(node, unit);
    this.#nodes[place] = node;
    this.#units[place] = unit;
    this.#targets[place] = target;
  }

  /** Where the edge stands, or would. At least half of the places are free, so the walk is short. */
  #placeOf(node: number, unit: number): number {
    let place = (Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b)) >>> 0;
    place = (place ^ (place >>> 15)) & this.#mask;
    while (
      this.#targets[place] !== NONE &&
      (this.#nodes[place] !== node || this.#units[place] !== unit)
    )
      place = (place + 1) & this.#mask;
    return place;
  }
}
