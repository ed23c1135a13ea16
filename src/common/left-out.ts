import { ValidateIf } from 'class-validator';

/** For a field of a body that may be left out but is never null: `IsOptional` lets a null pass unlooked at. */
export function LeftOut(): PropertyDecorator {
  return ValidateIf((_body, value) => value !== undefined);
}
