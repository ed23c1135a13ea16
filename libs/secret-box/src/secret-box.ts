import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

import type { KeyRing } from './key-ring.js';

/** Where a ciphertext belongs. One opened under another owner or field fails. */
export interface SecretBinding {
  /** The row it stands in, e.g. `account:wx1badb002feedface`. */
  owner: string;
  /** The column, e.g. `refresh_token`. */
  field: string;
}

/** Why a ciphertext could not be opened. Neither plaintext nor key material is in it. */
export class SecretBoxError extends Error {
  override readonly name = 'SecretBoxError';

  constructor(readonly code: 'malformed' | 'unknown_key' | 'tampered') {
    super(
      {
        malformed: 'The ciphertext is not in the form id.iv.data.',
        unknown_key: 'The ciphertext was made with a key that is not in the key ring.',
        tampered: 'The ciphertext was changed, or belongs to another row or field.',
      }[code],
    );
  }
}

const VERSION = 'v1';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Encrypts secrets for storage: AES-256-GCM with a fresh 96-bit nonce, the key's id in front,
 * and the ciphertext bound to its row and field by the additional data.
 *
 * One key is good for 2^32 encryptions with random nonces (NIST SP 800-38D, 8.3); rotate before.
 *
 * @see https://csrc.nist.gov/pubs/sp/800/38/d/final
 */
export class SecretBox {
  readonly #ring: KeyRing;
  readonly #newestId: string;

  /** @param ring at least one key, the encrypting one first */
  constructor(ring: KeyRing) {
    const [newestId] = ring.keys();
    if (newestId === undefined) throw new RangeError('A secret box needs at least one key.');
    this.#ring = ring;
    this.#newestId = newestId;
  }

  /** The id of the key that encrypts now. */
  get newestKeyId(): string {
    return this.#newestId;
  }

  /**
   * Encrypts under the newest key.
   *
   * @returns `v1.keyId.iv.data`, about 4/3 of the text plus 60 characters
   */
  seal(plaintext: string, binding: SecretBinding): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key(this.#newestId), iv);
    cipher.setAAD(additionalData(this.#newestId, binding));
    const data = Buffer.concat([
      cipher.update(plaintext, 'utf8'),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
    return [VERSION, this.#newestId, iv.toString('base64url'), data.toString('base64url')].join(
      '.',
    );
  }

  /**
   * Decrypts what {@link seal} made under any key of the ring.
   *
   * @throws SecretBoxError `malformed`, `unknown_key`, or `tampered` (changed, or of another row or field)
   */
  open(sealed: string, binding: SecretBinding): string {
    const { keyId, iv, data } = parse(sealed);
    const key = this.#ring.get(keyId);
    if (!key) throw new SecretBoxError('unknown_key');
    const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
    decipher.setAAD(additionalData(keyId, binding));
    decipher.setAuthTag(data.subarray(data.length - TAG_BYTES));
    try {
      const text = decipher.update(data.subarray(0, data.length - TAG_BYTES));
      return Buffer.concat([text, decipher.final()]).toString('utf8');
    } catch {
      throw new SecretBoxError('tampered');
    }
  }

  #key(id: string): Buffer {
    const key = this.#ring.get(id);
    if (!key) throw new SecretBoxError('unknown_key');
    return key;
  }
}

function parse(sealed: string): { keyId: string; iv: Buffer; data: Buffer } {
  const [version, keyId, ivText, dataText, ...rest] = sealed.split('.');
  if (version !== VERSION || !keyId || !ivText || !dataText || rest.length > 0) {
    throw new SecretBoxError('malformed');
  }
  const iv = Buffer.from(ivText, 'base64url');
  const data = Buffer.from(dataText, 'base64url');
  // Base64 ignores what it does not know: only the very text that we wrote is taken.
  const untouched = iv.toString('base64url') === ivText && data.toString('base64url') === dataText;
  if (!untouched || iv.length !== IV_BYTES || data.length < TAG_BYTES) {
    throw new SecretBoxError('malformed');
  }
  return { keyId, iv, data };
}

/** Lengths in front of the parts: no two different bindings give the same bytes. */
function additionalData(keyId: string, { owner, field }: SecretBinding): Buffer {
  return Buffer.from(
    [VERSION, keyId, owner, field].map((part) => `${Buffer.byteLength(part)}:${part}`).join(''),
  );
}
