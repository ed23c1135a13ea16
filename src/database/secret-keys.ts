import { closeSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import {
  generateKeyRing,
  KeyRingError,
  parseKeyRing,
  type SecretBinding,
  SecretBox,
  SecretBoxError,
} from '@app/secret-box';

import { Env } from '../../config/env.js';
import { errorCode } from '../common/error-code.js';
import { StartupError } from '../common/startup-error.js';
import type { Database } from './database.js';
import type { SealedColumn } from './sealed-columns.js';
import { SystemValue } from './system-value.entity.js';

const CHECK = 'secret_keys_check';
const BINDING = bindingOf(CHECK);

/** Where what proves the keys stands. It must not change keys before everything else has: a start trusts it. */
export const KEYS_CHECK: SealedColumn = {
  table: 'system_value',
  idColumn: 'name',
  column: 'value',
  binding: bindingOf,
};

/**
 * Makes the secret box from `SECRET_KEYS`, or from the file that the embedded shape keeps beside its database,
 * and proves that it opens what this database holds.
 *
 * @throws StartupError when the keys are not those of this database
 */
export async function openSecretBox(env: Env, db: Database): Promise<SecretBox> {
  const sealed = await db.read.findOneBy(SystemValue, { name: CHECK });
  const box = new SecretBox(parseKeyRing(env.secretKeys ?? readKeyFile(env, sealed === null)));
  if (sealed) {
    checkOpens(box, sealed.value);
    return box;
  }
  await db.write((tx) =>
    tx
      .createQueryBuilder()
      .insert()
      .into(SystemValue)
      .values({ name: CHECK, value: box.seal('the keys fit', BINDING) })
      .orIgnore()
      .execute(),
  );
  // Another process may have been first, with other keys.
  const kept = await db.write((tx) => tx.findOneByOrFail(SystemValue, { name: CHECK }));
  checkOpens(box, kept.value);
  return box;
}

function bindingOf(name: string): SecretBinding {
  return { owner: `system_value:${name}`, field: 'value' };
}

function checkOpens(box: SecretBox, sealed: string): void {
  try {
    box.open(sealed, BINDING);
  } catch (error) {
    if (!(error instanceof SecretBoxError)) throw error;
    throw new StartupError({
      zh: `SECRET_KEYS 打不开这个数据库里的密文（${error.code}）。请使用写入它的密钥；轮换时新密钥放在最前，旧密钥保留在后。`,
      en: `SECRET_KEYS does not open what this database holds (${error.code}). Use the keys it was written with; to rotate, put the new key first and keep the old ones behind it.`,
    });
  }
}

/** The keys of the embedded shape: made once, readable by their owner only, never replaced. */
function readKeyFile({ database }: Env, mayCreate: boolean): string {
  if (database.kind !== 'sqlite') throw new TypeError('SECRET_KEYS is required with MySQL');
  const path = join(dirname(resolve(database.path)), 'secret-keys');
  if (mayCreate) createOnce(path);
  try {
    const text = readFileSync(path, 'utf8').trim();
    parseKeyRing(text);
    return text;
  } catch (error) {
    const reason = error instanceof KeyRingError ? error.message : 'unreadable';
    throw new StartupError({
      zh: `无法读取密钥文件 ${path}（${reason}）。数据库里的密文只有用它才能打开，请恢复该文件，或在 SECRET_KEYS 中给出密钥。`,
      en: `The key file ${path} cannot be used (${reason}). Only its keys open this database: restore the file, or give the keys in SECRET_KEYS.`,
    });
  }
}

/** Written whole under another name, then linked: a crash leaves no half key, an existing file is not touched. */
function createOnce(path: string): void {
  const draft = `${path}.${process.pid}`;
  const file = openSync(draft, 'w', 0o600);
  writeSync(file, `${generateKeyRing('k1')}\n`);
  fsyncSync(file);
  closeSync(file);
  try {
    linkSync(draft, path);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}
