import { SecretBox, type SecretBinding } from '@app/secret-box';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { SealedColumns } from '../database/sealed-columns.js';
import { type EventType, PERSONAL_FIELDS } from './event-types.js';
import type { EventRow } from './event.entity.js';

/** Keeps what people have written out of the clear text of the outbox; its readers get it back. */
@Injectable()
export class EventWords implements OnModuleInit {
  constructor(
    private readonly secrets: SecretBox,
    private readonly sealed: SealedColumns,
  ) {}

  onModuleInit(): void {
    this.sealed.register({ table: 'event', idColumn: 'id', column: 'sealed', binding: bindingOf });
  }

  /** @returns what of the payload may stand in clear text, and the rest, sealed; null where there is none */
  seal(id: string, type: EventType, payload: object): Pick<EventRow, 'payload' | 'sealed'> {
    const personal: readonly string[] | undefined = PERSONAL_FIELDS[type];
    if (!personal) return { payload, sealed: null };
    const fields = Object.entries(payload);
    const pick = (isPersonal: boolean): object =>
      Object.fromEntries(fields.filter(([name]) => personal.includes(name) === isPersonal));
    return {
      payload: pick(false),
      sealed: this.secrets.seal(JSON.stringify(pick(true)), bindingOf(id)),
    };
  }

  /** Makes the row what was emitted. */
  open(row: EventRow): EventRow {
    if (row.sealed === null) return row;
    const words = JSON.parse(this.secrets.open(row.sealed, bindingOf(row.id))) as object;
    return Object.assign(row, { payload: { ...row.payload, ...words }, sealed: null });
  }
}

function bindingOf(id: string): SecretBinding {
  return { owner: `event:${id}`, field: 'sealed' };
}
