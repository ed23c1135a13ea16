/** Words for a person, in both languages of the service. */
export interface Text {
  /** Simplified Chinese. */
  zh: string;
  en: string;
}
