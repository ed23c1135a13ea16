import { randomBytes } from 'node:crypto';

import type { SecretBinding } from '@app/secret-box';

const BYTES = 32;

/** A secret as the Standard Webhooks specification writes it. */
export function newSecret(): string {
  return `whsec_${randomBytes(BYTES).toString('base64')}`;
}

/** What a webhook's secrets are sealed to. @param column as the table names it */
export function secretBinding(id: string, column: 'secret' | 'previous_secret'): SecretBinding {
  return { owner: `webhook:${id}`, field: column };
}
