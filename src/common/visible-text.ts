import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { Length, Matches } from 'class-validator';

/**
 * A text that people tell from others by looking at it: what is around it is taken off, and something has to be left that
 * can be seen.
 *
 * @param max in Unicode characters, which is how databases count
 * @param each for an array of them
 */
export function VisibleText(max: number, each = false): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) =>
      each && Array.isArray(value) ? value.map(trim) : trim(value),
    ),
    Length(1, max, { each }),
    Matches(new RegExp(`^(?=.*[\\p{L}\\p{N}\\p{P}\\p{S}]).{1,${max}}$`, 'su'), {
      each,
      message: `$property must have 1..${max} characters, one of which can be seen`,
    }),
  );
}

function trim(value: unknown): unknown {
  return typeof value === 'string' ? value.trim() : value;
}
