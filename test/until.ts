/** Looks again and again until it holds, for twenty seconds at the most. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('It did not come to hold within twenty seconds.');
    await new Promise((go) => setTimeout(go, 10));
  }
}
