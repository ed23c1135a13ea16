import { type ClassConstructor, plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';

import type { FieldError } from '../../common/app-error.js';
import { flattenFaults } from '../../common/validation.pipe.js';

/** Reads a content in the form of its class, or says what is wrong with it, by fields under `content.` */
export function readContent<C extends object>(
  form: ClassConstructor<C>,
  content: object,
): C | FieldError[] {
  const read = plainToInstance(form, withoutNulls(content));
  const faults = validateSync(read, { whitelist: true, forbidNonWhitelisted: true });
  return faults.length > 0 ? faults.flatMap((fault) => flattenFaults(fault, 'content.')) : read;
}

/** One of several that is null is told as one that has nothing: a class cannot be chosen for it. */
function withoutNulls(content: object): object {
  return Object.fromEntries(
    Object.entries(content).map(([name, value]: [string, unknown]) => [
      name,
      Array.isArray(value) ? value.map((one: unknown) => one ?? {}) : value,
    ]),
  );
}
