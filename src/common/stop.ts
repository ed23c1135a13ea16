/** What is under way when the process is told to stop has this long to end. What does not, its leases hand to others. */
export const STOP_WITHIN_MS = 10_000;
