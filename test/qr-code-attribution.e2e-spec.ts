import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { shanghaiDay } from '../src/accounts/quota/shanghai-time.js';
import { Database } from '../src/database/database.js';
import type { Figures } from '../src/qr-codes/visits/figures.js';
import type { Act, QrCodeVisit } from '../src/qr-codes/visits/qr-code-visit.entity.js';
import { QrCodeVisits } from '../src/qr-codes/visits/qr-code-visits.service.js';
import { startApp, type TestApp } from './app.js';
import { newSender } from './message-helpers.js';

const FACTS = 10_000;
const PEOPLE = 1_200;
/** They fill forty days, each in a second of its own. */
const SECONDS_APART = 345;
const PER_TRANSACTION = 1_000;

interface Fact {
  openid: string;
  act: Act;
  /** Which of the codes; null without one. */
  code: number | null;
  at: Date;
}

let app: TestApp;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());

function makeFacts(): Fact[] {
  const begin = app.clock.now().getTime();
  const numbers = fc.sample(fc.nat(2 ** 30), { seed: 42, numRuns: FACTS });
  return numbers.map((number, n) => {
    const act = (['follow', 'follow', 'scan', 'scan', 'unfollow'] as const)[number % 5] ?? 'scan';
    const isPlain = act === 'unfollow' || (act === 'follow' && number % 7 === 0);
    return {
      openid: `oMany${Math.floor(number / 1_000) % PEOPLE}`,
      act,
      code: isPlain ? null : number % 3 === 0 ? 0 : 1,
      at: new Date(begin + n * SECONDS_APART * 1_000),
    };
  });
}

/** What a person would count who has seen it all happen, one after the other. */
function countByHand(facts: readonly Fact[]): Figures[] {
  const counts = [0, 1].map(() => ({ visits: [] as string[], unfollows: 0, stayed: 0 }));
  const known = new Set<string>();
  const broughtBy = new Map<string, number | null>();
  const people = [new Set<string>(), new Set<string>()];
  for (const { openid, act, code } of facts) {
    if (act === 'unfollow') {
      const one = counts[broughtBy.get(openid) ?? -1];
      if (one) one.unfollows += 1;
      broughtBy.delete(openid);
    }
    if (act === 'follow') broughtBy.set(openid, code);
    if (code !== null) {
      people[code]?.add(openid);
      const isNew = !known.has(openid);
      counts[code]?.visits.push(act === 'scan' ? 'existing' : isNew ? 'new' : 'returning');
    }
    known.add(openid);
  }
  for (const code of broughtBy.values()) {
    const one = counts[code ?? -1];
    if (one) one.stayed += 1;
  }
  return counts.map(({ visits, unfollows, stayed }, code) => ({
    scans: visits.length,
    people: people[code]?.size ?? 0,
    newFollowers: visits.filter((visit) => visit === 'new').length,
    returningFollowers: visits.filter((visit) => visit === 'returning').length,
    existingFollowers: visits.filter((visit) => visit === 'existing').length,
    unfollows,
    stayed,
  }));
}

it('counts ten thousand things that people did the same in any order, with many repeated', async () => {
  const appid = await newSender(app);
  const ids: string[] = [];
  for (const channel of ['a', 'b']) {
    const wanted = { name: channel, channel, permanent: true };
    const { body } = await app.api<{ id: string }>('POST', `/accounts/${appid}/qr-codes`, wanted);
    ids.push(body.id);
  }
  const facts = makeFacts();
  const rowOf = (n: number): QrCodeVisit => {
    const { openid, act, code, at } = facts[n] ?? raise();
    const qrCodeId = code === null ? null : (ids[code] ?? null);
    const visit = act === 'unfollow' ? null : act === 'scan' ? 'existing_follower' : 'new_follower';
    const guess = { visit, stays: act === 'follow' } as const;
    return { id: `push-${n}`, appid, openid, act, qrCodeId, ...guess, at, day: shanghaiDay(at) };
  };
  const [order = []] = fc.sample(
    fc.shuffledSubarray(
      facts.map((_fact, n) => n),
      { minLength: FACTS },
    ),
    { seed: 7, numRuns: 1 },
  );
  const arriving = [...order.slice(0, 6_000), ...order.slice(0, 500), ...order.slice(6_000)];
  const visits = app.app.get(QrCodeVisits);
  for (let from = 0; from < arriving.length; from += PER_TRANSACTION)
    await app.app.get(Database).write(async (tx) => {
      for (const n of arriving.slice(from, from + PER_TRANSACTION)) await visits.add(tx, rowOf(n));
    });

  const expected = countByHand(facts);
  const codes = await Promise.all(
    ids.map((id) => app.api<{ stats: Figures }>('GET', `/accounts/${appid}/qr-codes/${id}`)),
  );
  expect(codes.map(({ body }) => body.stats)).toEqual(expected);
  expect(expected[0]?.newFollowers).toBeGreaterThan(100);
  expect(expected[0]?.unfollows).toBeGreaterThan(100);

  const to = new Date(app.clock.now().getTime() + 60 * 86_400_000).toISOString();
  const query = `?from=${app.clock.now().toISOString()}&to=${to}`;
  for (const [code, id] of ids.entries()) {
    const { body } = await app.api<{ items: Figures[]; totals: Figures; distinctPeople: number }>(
      'GET',
      `/accounts/${appid}/qr-codes/${id}/stats${query}`,
    );
    const { people, ...rest } = expected[code] ?? raise();
    expect(body.totals).toMatchObject(rest);
    expect(body.distinctPeople).toBe(people);
    expect(body.items.reduce((sum, { scans }) => sum + scans, 0)).toBe(rest.scans);
  }
}, 120_000);

function raise(): never {
  throw new RangeError('There is none.');
}
