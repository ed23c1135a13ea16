/** The smallest UUID v7 of a moment. @see https://www.rfc-editor.org/rfc/rfc9562.html#section-5.7 */
export function firstIdOf(ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
