import type { Text } from '@app/wechat';

export type { Text };

export const LANGS = ['zh-CN', 'en'] as const;
export type Lang = (typeof LANGS)[number];

/** The text in the reader's language. */
export function inLang(text: Text, lang: Lang): string {
  return lang === 'en' ? text.en : text.zh;
}

/**
 * Chooses the language of an answer.
 *
 * @param acceptLanguage the `Accept-Language` header
 * @returns English only where it is preferred to Chinese; zh-CN for everything else
 * @see https://www.rfc-editor.org/rfc/rfc9110.html#section-12.5.4
 */
export function pickLang(acceptLanguage: string | undefined): Lang {
  const quality = { zh: 0, en: 0 };
  for (const range of (acceptLanguage ?? '').split(',')) {
    const [tag = '', ...parameters] = range.trim().toLowerCase().split(';');
    const primary = tag.split('-')[0];
    if (primary !== 'zh' && primary !== 'en') continue;
    const q = parameters.map((p) => /^\s*q=([\d.]+)\s*$/.exec(p)?.[1]).find(Boolean);
    quality[primary] = Math.max(quality[primary], q === undefined ? 1 : Number(q));
  }
  return quality.en > quality.zh ? 'en' : 'zh-CN';
}
