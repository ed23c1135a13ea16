import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { Canary, decoded } from './canary.js';

let folder: string;
let canary: Canary;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'channel-canary-'));
  canary = await Canary.start(`sqlite:${join(folder, 'channel.sqlite')}`, {}, folder);
  await canary.walk();
}, 60_000);
afterAll(async () => {
  await canary.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('no secret', () => {
  it('was left out of this search', () => {
    expect(canary.secrets().length).toBeGreaterThan(13);
    const [first = ''] = canary.secrets();
    expect(canary.leaksIn(`x${first}y`)).toEqual([first]);
  });

  it('stands in a log line', () => {
    const { output } = canary.service;
    expect(output).toContain('"msg":"wechat.called"');
    expect(output).toContain('"msg":"push.refused"');
    expect(canary.leaksIn(output)).toEqual([]);
    expect(canary.leaksIn(decoded(output))).toEqual([]);
    expect(canary.receiptKey).toHaveLength(43);
    expect(output).not.toContain(canary.receiptKey);
  });

  it('stands in an answer', () => {
    const answers = canary.answers.join('\n');
    expect(answers).toContain('wechat_unavailable');
    expect(answers).toContain('wechat_channel_pushes_total{');
    expect(answers).toContain('"replayed":true');
    expect(canary.leaksIn(answers)).toEqual([]);
  });

  it('stands in the database, its log or its index in clear text', async () => {
    const files = (await readdir(folder)).filter((name) => name.startsWith('channel.sqlite'));
    expect(files).toContain('channel.sqlite');
    for (const name of files)
      expect(canary.leaksIn((await readFile(join(folder, name))).toString('latin1'))).toEqual([]);
  });
});
