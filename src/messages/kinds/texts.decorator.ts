import { ValidateBy } from 'class-validator';

const MAX_FIELDS = 64;
const MAX_CHARACTERS = 1024;

/** An object of texts, such as the values of a template's fields. */
export function AreTexts(): PropertyDecorator {
  return ValidateBy({
    name: 'areTexts',
    validator: {
      validate: areTexts,
      defaultMessage: () =>
        `$property must be an object of texts, ${MAX_FIELDS} at the most, of ${MAX_CHARACTERS} characters`,
    },
  });
}

function areTexts(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const texts: unknown[] = Object.values(value);
  return (
    texts.length <= MAX_FIELDS &&
    texts.every((text) => typeof text === 'string' && text.length <= MAX_CHARACTERS)
  );
}
