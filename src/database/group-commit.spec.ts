import { describe, expect, it } from '@jest/globals';

import { AppError } from '../common/app-error.js';
import { GroupCommit, type GroupCommitOptions } from './group-commit.js';

/** A storage that answers only when it is told to. */
class Storage {
  /** What each statement was given, in the order of the statements. */
  readonly groups: string[][] = [];
  readonly #open: { answer: () => void; fail: (error: Error) => void }[] = [];
  /** Answers by itself. */
  isQuick = true;

  readonly commit = async (items: string[]): Promise<string[]> => {
    this.groups.push(items);
    if (!this.isQuick) {
      await new Promise<void>((answer, fail) => this.#open.push({ answer, fail }));
    }
    return items.map((item) => `kept ${item}`);
  };

  get underWay(): number {
    return this.#open.length;
  }

  /** Ends the oldest statement that is under way. */
  answer(): void {
    this.#open.shift()?.answer();
  }

  fail(error: Error): void {
    this.#open.shift()?.fail(error);
  }
}

const WITHIN_MS = 60;
/** Timers are not more exact than this. */
const TIMER_MS = 5;

function make(
  storage: Storage,
  bounds: Partial<GroupCommitOptions<string, string>> = {},
): GroupCommit<string, string> {
  return new GroupCommit({
    commit: storage.commit,
    weigh: (item) => item.length,
    inFlight: 1,
    maxItems: 100,
    maxBytes: 1_000,
    maxWaitingItems: 100,
    maxWaitingBytes: 10_000,
    withinMs: 10_000,
    ...bounds,
  });
}

const turn = (): Promise<void> => new Promise((go) => setImmediate(go));

/** What has become of it before the event loop turns; `waiting` when it has not ended. */
async function atOnce(work: Promise<unknown>): Promise<unknown> {
  return Promise.race([
    work.catch((error: unknown) => (error instanceof AppError ? error.code : error)),
    turn().then(() => 'waiting'),
  ]);
}

const isRefused = { name: 'AppError', code: 'storage_unavailable' };

describe('GroupCommit', () => {
  it('writes what one turn of the event loop brings with one statement, and gives each its own result', async () => {
    const storage = new Storage();
    const group = make(storage);
    const results = await Promise.all(['a', 'b', 'c'].map((item) => group.add(item)));
    expect(storage.groups).toEqual([['a', 'b', 'c']]);
    expect(results).toEqual(['kept a', 'kept b', 'kept c']);
  });

  it('does not make the first one wait for more to come', async () => {
    const storage = new Storage();
    const group = make(storage);
    expect(await group.add('a')).toBe('kept a');
    expect(await group.add('b')).toBe('kept b');
    expect(storage.groups).toEqual([['a'], ['b']]);
  });

  it('gathers what comes while a statement is under way', async () => {
    const storage = new Storage();
    storage.isQuick = false;
    const group = make(storage);
    const first = group.add('a');
    await turn();
    const others = [group.add('b')];
    await turn();
    others.push(group.add('c'));
    await turn();
    expect(storage.groups).toEqual([['a']]);
    storage.answer();
    await first;
    expect(storage.groups).toEqual([['a'], ['b', 'c']]);
    storage.answer();
    expect(await Promise.all(others)).toEqual(['kept b', 'kept c']);
  });

  it('splits what is too many', async () => {
    const storage = new Storage();
    const group = make(storage, { maxItems: 2 });
    const items = ['a', 'b', 'c', 'd', 'e'];
    expect(await Promise.all(items.map((item) => group.add(item)))).toEqual(
      items.map((item) => `kept ${item}`),
    );
    expect(storage.groups).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  });

  it('splits what is too heavy, and writes alone what is heavier than a group may be', async () => {
    const storage = new Storage();
    const group = make(storage, { maxBytes: 5 });
    const items = ['aaa', 'bb', 'c', 'dddddddd', 'e'];
    await Promise.all(items.map((item) => group.add(item)));
    expect(storage.groups).toEqual([['aaa', 'bb'], ['c'], ['dddddddd'], ['e']]);
  });

  it('has no more statements under way than it may', async () => {
    const storage = new Storage();
    storage.isQuick = false;
    const group = make(storage, { maxItems: 1, inFlight: 2 });
    const added = ['a', 'b', 'c', 'd'].map((item) => group.add(item));
    await turn();
    expect(storage.groups).toEqual([['a'], ['b']]);
    storage.answer();
    await added[0];
    expect(storage.groups).toEqual([['a'], ['b'], ['c']]);
    expect(storage.underWay).toBe(2);
    for (const next of added.slice(1)) {
      storage.answer();
      await next;
    }
    expect(storage.groups).toEqual([['a'], ['b'], ['c'], ['d']]);
  });

  it('refuses at once when too many wait, and takes more as soon as they do not', async () => {
    const storage = new Storage();
    storage.isQuick = false;
    const group = make(storage, { maxWaitingItems: 2 });
    const underWay = group.add('a');
    await turn();
    const waiting = [group.add('b'), group.add('c')];
    expect(await atOnce(group.add('d'))).toBe('storage_unavailable');
    storage.answer();
    await underWay;
    const later = group.add('e');
    storage.answer();
    expect(await Promise.all(waiting)).toEqual(['kept b', 'kept c']);
    storage.answer();
    expect(await later).toBe('kept e');
    expect(storage.groups).toEqual([['a'], ['b', 'c'], ['e']]);
  });

  it('refuses at once what would be too heavy beside what waits', async () => {
    const storage = new Storage();
    storage.isQuick = false;
    const group = make(storage, { maxWaitingBytes: 5 });
    const underWay = group.add('aaaa');
    await turn();
    const waiting = group.add('bbb');
    expect(await atOnce(group.add('ccc'))).toBe('storage_unavailable');
    const light = group.add('dd');
    expect(await atOnce(light)).toBe('waiting');
    storage.answer();
    await underWay;
    storage.answer();
    expect(await Promise.all([waiting, light])).toEqual(['kept bbb', 'kept dd']);
    // What was written weighs no more.
    const next = group.add('eeeee');
    await turn();
    storage.answer();
    expect(await next).toBe('kept eeeee');
  });

  it('refuses those that wait for a silent storage in time and new ones at once, and never writes them', async () => {
    const storage = new Storage();
    storage.isQuick = false;
    const group = make(storage, { withinMs: WITHIN_MS });
    const startedAt = performance.now();
    const written = group.add('written');
    const waiting = turn().then(() => group.add('waiting'));
    await Promise.all([
      expect(written).rejects.toMatchObject(isRefused),
      expect(waiting).rejects.toMatchObject(isRefused),
    ]);
    await expect(group.add('also waiting')).rejects.toMatchObject(isRefused);
    const refusedAt = performance.now();
    expect(refusedAt - startedAt).toBeGreaterThan(WITHIN_MS - TIMER_MS);
    for (let count = 0; count < 3; count++)
      expect(await atOnce(group.add('new'))).toBe('storage_unavailable');
    while (performance.now() - refusedAt < TIMER_MS) await turn();

    storage.answer();
    storage.isQuick = true;
    await turn();
    expect(await group.add('afterwards')).toBe('kept afterwards');
    expect(storage.groups).toEqual([['written'], ['afterwards']]);
  });

  it('is not silent while one of its statements comes back', async () => {
    const storage = new Storage();
    storage.isQuick = false;
    const group = make(storage, { inFlight: 2, withinMs: WITHIN_MS });
    const stuck = group.add('stuck');
    await turn();
    await expect(stuck).rejects.toMatchObject(isRefused);
    storage.isQuick = true;
    expect(await group.add('a')).toBe('kept a');
    expect(await group.add('b')).toBe('kept b');
    storage.answer();
  });

  it('tells exactly those of a statement that it failed', async () => {
    const storage = new Storage();
    storage.isQuick = false;
    const group = make(storage, { maxItems: 2, inFlight: 2 });
    const added = ['a', 'b', 'c', 'd'].map((item) => group.add(item));
    const settled = Promise.allSettled(added);
    await turn();
    const failure = new Error('deadlock');
    storage.fail(failure);
    storage.answer();
    expect(await settled).toEqual([
      { status: 'rejected', reason: failure },
      { status: 'rejected', reason: failure },
      { status: 'fulfilled', value: 'kept c' },
      { status: 'fulfilled', value: 'kept d' },
    ]);
    storage.isQuick = true;
    expect(await group.add('e')).toBe('kept e');
  });

  it('writes each alone when a group has failed, where it is told to', async () => {
    const statements: string[][] = [];
    const splits: unknown[] = [];
    const failure = new Error('wrong');
    const group = make(new Storage(), {
      commit: async (items) => {
        statements.push(items);
        if (items.includes('b')) throw failure;
        return items.map((item) => `kept ${item}`);
      },
      onSplit: (error, items) => splits.push([error, items]),
    });
    expect(await Promise.allSettled(['a', 'b', 'c'].map((item) => group.add(item)))).toEqual([
      { status: 'fulfilled', value: 'kept a' },
      { status: 'rejected', reason: failure },
      { status: 'fulfilled', value: 'kept c' },
    ]);
    expect(statements).toEqual([['a', 'b', 'c'], ['a'], ['b'], ['c']]);
    expect(splits).toEqual([[failure, 3]]);
  });

  it('splits no group that has failed because the storage is away', async () => {
    const storage = new Storage();
    storage.isQuick = false;
    const group = make(storage, { onSplit: () => expect('a split').toBe('none') });
    const settled = Promise.allSettled(['a', 'b'].map((item) => group.add(item)));
    await turn();
    const failure = Object.assign(new Error('gone'), { code: 'ECONNRESET' });
    storage.fail(failure);
    expect(await settled).toEqual([
      { status: 'rejected', reason: failure },
      { status: 'rejected', reason: failure },
    ]);
    expect(storage.groups).toEqual([['a', 'b']]);
  });
});
