/** People cannot see them, and phones put them in: zero-width spaces, and how a character is to be drawn. */
const UNSEEN = /[\u200B\u2060\uFEFF]|\p{Variation_Selector}/gu;

/**
 * What two texts have in common when a person would call them the same: without case, without the width of letters and
 * digits, without spaces around, and with one for each run of them inside.
 *
 * Half of a surrogate pair becomes U+FFFD, so that what is found in a folded text always is whole characters.
 */
export function foldText(text: string): string {
  return (
    text
      .replaceAll(/\p{Surrogate}/gu, '\uFFFD')
      .replaceAll(UNSEEN, '')
      .normalize('NFKC')
      // By way of small letters to capitals: those do not depend on what stands beside them, as a final sigma does.
      .toLowerCase()
      .toUpperCase()
      .normalize('NFKC')
      .replaceAll(/\s+/g, ' ')
      .trim()
  );
}
