import type { SecretBinding } from '@app/secret-box';

import type { SealedColumn } from '../database/sealed-columns.js';
import type { ReceiptConfig } from './receipt-config.entity.js';

/** The fields that are kept sealed, with their columns. */
const COLUMNS = {
  token: 'token',
  encodingAesKey: 'encoding_aes_key',
  previousToken: 'previous_token',
  previousEncodingAesKey: 'previous_encoding_aes_key',
} as const satisfies Partial<Record<keyof ReceiptConfig, string>>;

export type SealedField = keyof typeof COLUMNS;

/** What the value of a field is bound to: its mini-program and itself. */
export function bindingOf(appid: string, field: SealedField): SecretBinding {
  return { owner: `receipt_config:${appid}`, field: COLUMNS[field] };
}

/** The same for whoever changes the keys. */
export const SEALED_COLUMNS: readonly SealedColumn[] = Object.entries(COLUMNS).map(
  ([field, column]) => ({
    table: 'receipt_config',
    idColumn: 'appid',
    column,
    binding: (appid) => bindingOf(appid, field as SealedField),
  }),
);
