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
 *
 * It takes 18 to 22 bytes for each letter of the words, less what they begin with in common. Nodes are numbered by their depth
 * and then by their words in order, so those that follow a node stand side by side: its edges need no table.
 */
export class KeywordSearch {
  /** Of each node, the first of those that follow it; they end where those of the next node begin. */
  readonly #children: Int32Array;
  /** Of each node, the unit that leads to it: rising among those that follow the same node. */
  readonly #unit: Uint16Array;
  /** Of each node, the node of its longest proper suffix that is a beginning of a word. */
  readonly #suffix: Int32Array;
  /** Of each node, the next one along its suffixes where a word ends; itself first. */
  readonly #ending: Int32Array;
  /** Of each node, the number of the word that ends there. */
  readonly #word: Int32Array;

  /** The nodes that follow the root by their units, from {@link #firstUnit} on; empty where that would take too much. */
  #first = new Int32Array(0);
  #firstUnit = 0;
  #nodes = 1;

  private constructor(nodes: number) {
    this.#children = new Int32Array(nodes + 1);
    this.#unit = new Uint16Array(nodes);
    this.#suffix = new Int32Array(nodes);
    this.#ending = new Int32Array(nodes).fill(NONE);
    this.#word = new Int32Array(nodes).fill(NONE);
  }

  /**
   * Of a million letters it takes a second, in which others have their turn.
   *
   * @param words each once, none of them empty; a find is told by its place
   */
  static async of(words: readonly string[], breath = new Breath()): Promise<KeywordSearch> {
    const order = await inOrder(words, breath);
    const search = new KeywordSearch(await countNodes(words, order, breath));
    await search.#grow(words, order, breath);
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
  async #grow(words: readonly string[], order: Int32Array, breath: Breath): Promise<void> {
    const reached = new Int32Array(words.length);
    const longest = words.reduce((most, { length }) => Math.max(most, length), 0);
    // The nodes up to here know where those that follow them begin.
    let known = NONE;
    for (let at = 0; at < longest; at++)
      for (const [turn, place] of order.entries()) {
        if (turn % WORDS_IN_A_ROW === 0) await breath.take();
        const word = words[place] ?? '';
        if (at >= word.length) continue;
        const parent = reached[place] ?? ROOT;
        while (known < parent) this.#children[++known] = this.#nodes;
        const node = this.#childOf(parent, word.charCodeAt(at));
        reached[place] = node;
        if (at === word.length - 1) this.#word[node] = place;
        if (at === 0 && turn === order.length - 1) this.#spreadFirst();
      }
    this.#children.fill(this.#nodes, known + 1);
  }

  /** Of the root's nodes there may be thousands, and most letters of a text lead back to it. */
  #spreadFirst(): void {
    const [low, high] = [this.#unit[1] ?? 0, this.#unit[this.#nodes - 1] ?? 0];
    const size = high - low + 1;
    if (size > this.#unit.length) return;
    this.#firstUnit = low;
    this.#first = new Int32Array(size).fill(NONE);
    for (let node = 1; node < this.#nodes; node++)
      this.#first[(this.#unit[node] ?? 0) - low] = node;
  }

  async #findEndings(breath: Breath): Promise<void> {
    for (let node = 1; node < this.#nodes; node++) {
      if (node % NODES_IN_A_ROW === 0) await breath.take();
      const suffix = this.#ending[this.#suffix[node] ?? ROOT] ?? NONE;
      this.#ending[node] = this.#word[node] === NONE ? suffix : node;
    }
  }

  /** The one that was made last, or a new one: the words come in order. */
  #childOf(parent: number, unit: number): number {
    const last = this.#nodes - 1;
    if (last >= (this.#children[parent] ?? 0) && this.#unit[last] === unit) return last;
    const node = this.#nodes++;
    this.#unit[node] = unit;
    this.#suffix[node] = parent === ROOT ? ROOT : this.#step(this.#suffix[parent] ?? ROOT, unit);
    return node;
  }

  #step(from: number, unit: number): number {
    let node = from;
    let next = this.#next(node, unit);
    while (next === NONE && node !== ROOT) {
      node = this.#suffix[node] ?? ROOT;
      next = this.#next(node, unit);
    }
    return next === NONE ? ROOT : next;
  }

  #next(node: number, unit: number): number {
    if (node === ROOT && this.#first.length > 0) return this.#first[unit - this.#firstUnit] ?? NONE;
    let low = this.#children[node] ?? 0;
    let high = this.#children[node + 1] ?? 0;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const there = this.#unit[middle] ?? 0;
      if (there === unit) return middle;
      if (there < unit) low = middle + 1;
      else high = middle;
    }
    return NONE;
  }
}

/** How many beginnings the words have, the empty one among them. */
async function countNodes(
  words: readonly string[],
  order: Int32Array,
  breath: Breath,
): Promise<number> {
  let [nodes, before] = [1, ''];
  for (const [turn, place] of order.entries()) {
    if (turn % WORDS_IN_A_ROW === 0) await breath.take();
    const word = words[place] ?? '';
    let same = 0;
    while (same < word.length && word.charCodeAt(same) === before.charCodeAt(same)) same++;
    nodes += word.length - same;
    before = word;
  }
  return nodes;
}

/** The places of the words, these in the order of their units: merged step by step, since a sort lets nobody in between. */
async function inOrder(words: readonly string[], breath: Breath): Promise<Int32Array> {
  let from = Int32Array.from(words.keys());
  let to = new Int32Array(words.length);
  for (let length = 1; length < words.length; length *= 2) {
    for (let begin = 0; begin < words.length; begin += 2 * length) {
      const [middle, end] = [begin + length, Math.min(begin + 2 * length, words.length)];
      let [one, other] = [begin, middle];
      for (let at = begin; at < end; at++) {
        if (at % WORDS_IN_A_ROW === 0) await breath.take();
        const [a, b] = [from[one] ?? 0, from[other] ?? 0];
        const takesOne = one < middle && (other >= end || (words[a] ?? '') <= (words[b] ?? ''));
        to[at] = takesOne ? a : b;
        if (takesOne) one++;
        else other++;
      }
    }
    [from, to] = [to, from];
  }
  return from;
}
