// What the parts of the token benchmark agree on.
const CALLERS = 64;
const ACCOUNTS = 256;

/** The accounts whose tokens are read. */
export const READ_APPIDS = Array.from({ length: ACCOUNTS }, (_, n) => appidOf(0xaa000000 + n));
/** One cold token for each design. */
export const COLD_APPIDS = { ours: appidOf(0xbb000000), naive: appidOf(0xbb000001) };

function appidOf(n) {
  return `wx${n.toString(16).padStart(16, '0')}`;
}

/** A process that does what it is told over IPC, one command after the other, and says when it is ready. */
export function serve(commands) {
  process.on('message', ({ command, ...input }) => {
    commands[command](input).then(
      (answer) => process.send(answer),
      (error) => process.send({ failure: String(error?.stack ?? error) }),
    );
  });
  process.on('disconnect', () => process.exit());
  process.send({});
}

/** Many callers, each asking for the next account's token as soon as it has one. */
export async function measureCallers(getToken, seconds) {
  const latencies = [];
  let serial = 0;
  const startedAt = performance.now();
  const deadline = startedAt + seconds * 1_000;
  const keepAsking = async () => {
    for (let now = startedAt; now < deadline;) {
      const appid = READ_APPIDS[(serial += 1) % ACCOUNTS];
      const askedAt = performance.now();
      await getToken(appid);
      now = performance.now();
      latencies.push(now - askedAt);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, keepAsking));
  const perSecond = (latencies.length * 1_000) / (performance.now() - startedAt);
  const sorted = Float64Array.from(latencies).sort();
  const quantile = (part) => sorted[Math.floor((sorted.length - 1) * part)];
  return { perSecond, p50: quantile(0.5), p99: quantile(0.99) };
}

/** So many callers at once for one token. @returns how many got which token, and why others got none */
export async function askAtOnce(getToken, callers) {
  const answers = await Promise.allSettled(Array.from({ length: callers }, getToken));
  const tokens = {};
  for (const { value } of answers) if (value) tokens[value] = (tokens[value] ?? 0) + 1;
  const refused = answers.find(({ status }) => status === 'rejected');
  return { tokens, reason: refused ? String(refused.reason) : null };
}
