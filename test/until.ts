const LIMIT_MS = 20_000;

/** Looks again and again until it holds, for twenty seconds at the most unless another limit is given. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  limitMs = LIMIT_MS,
): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`It did not come to hold within ${limitMs} ms.`);
    await new Promise((go) => setTimeout(go, 10));
  }
}
