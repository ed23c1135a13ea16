/** Markup that may stand in a page as it is. */
export class Html {
  constructor(readonly text: string) {}
}

export type HtmlValue = string | number | Html | readonly HtmlValue[] | null | undefined | false;

/**
 * A template that escapes its values, in text and in quoted attributes.
 *
 * @param values markup of another template goes in as it is, a list is joined, `null`, `undefined` and `false`
 *   are left out; everything else is escaped
 * @see https://html.spec.whatwg.org/multipage/parsing.html
 */
export function html(parts: TemplateStringsArray, ...values: HtmlValue[]): Html {
  return new Html(parts.reduce((text, part, index) => text + render(values[index - 1]) + part));
}

function render(value: HtmlValue): string {
  if (value instanceof Html) return value.text;
  if (typeof value === 'object' && value !== null) return value.map(render).join('');
  if (value === null || value === undefined || value === false) return '';
  return String(value).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
