import { type ClassConstructor, plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';

import type { FieldError } from '../../common/app-error.js';
import { flattenFaults } from '../../common/validation.pipe.js';

/** Reads a content in the form of its class, or says what is wrong with it, by fields under `content.` */
export function readContent<C extends object>(
  form: ClassConstructor<C>,
  content: object,
): C | FieldError[] {
  const read = plainToInstance(form, content);
  const faults = validateSync(read, { whitelist: true, forbidNonWhitelisted: true });
  return faults.length > 0 ? faults.flatMap((fault) => flattenFaults(fault, 'content.')) : read;
}
