/** What is counted of visits. */
export interface Figures {
  /** Visits: the three sorts together. */
  scans: number;
  /** Different people in the row: who comes on two days is counted on each. */
  people: number;
  newFollowers: number;
  returningFollowers: number;
  existingFollowers: number;
  unfollows: number;
  /** Of those who followed in the row, how many follow still. */
  stayed: number;
}

export const FIGURES = [
  'scans',
  'people',
  'newFollowers',
  'returningFollowers',
  'existingFollowers',
  'unfollows',
  'stayed',
] as const satisfies (keyof Figures)[];

export const NO_FIGURES: Readonly<Figures> = {
  scans: 0,
  people: 0,
  newFollowers: 0,
  returningFollowers: 0,
  existingFollowers: 0,
  unfollows: 0,
  stayed: 0,
};

export function addUp(rows: readonly Figures[]): Figures {
  const totals = { ...NO_FIGURES };
  for (const row of rows) for (const figure of FIGURES) totals[figure] += row[figure];
  return totals;
}
