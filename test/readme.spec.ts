import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '..');

describe.each(['README.md', 'README.zh-CN.md'])('%s', (name) => {
  it.each([
    ['Quick start', 'npm ci && npm run quickstart'],
    ['Tests', 'npm ci && npm test'],
  ])('gives one command under "%s"', async (heading, command) => {
    const text = await readFile(join(ROOT, name), 'utf8');
    const section = text.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
    const blocks = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block);
    expect(blocks).toEqual([`${command}\n`]);
    expect(section.trimStart().startsWith('```sh')).toBe(true);
  });

  it('leads to files and scripts that are there', async () => {
    const text = await readFile(join(ROOT, name), 'utf8');
    const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    for (const [, script] of text.matchAll(/`npm run ([\w:-]+)/g))
      expect(Object.keys(scripts)).toContain(script);
    for (const [, link] of text.matchAll(/\]\(([^)#]+)\)/g))
      expect((await readFile(join(ROOT, link ?? ''))).length).toBeGreaterThan(0);
  });
});
