// Sends messages with undici, so many at once, and nothing else: to the service as its client, or straight to WeChat,
// which is what the service is measured against. Told over IPC: { origin, keys, first, count, inFlight }; without keys
// it is WeChat.
import { Pool } from 'undici';

import { ACCESS_TOKEN, requestOf, SEND_PATH, wechatRequestOf } from './sends-shared.mjs';
import { ACCOUNT } from './shared.mjs';
import { serve } from './tokens-shared.mjs';

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' };

/** Of all messages, before any time is taken. */
function requestsOf({ keys, first, count, idempotent }) {
  return Array.from({ length: count }, (_, n) => {
    const serial = first + n;
    if (!keys)
      return {
        method: 'POST',
        path: `${SEND_PATH}?access_token=${ACCESS_TOKEN}`,
        headers: JSON_TYPE,
        body: JSON.stringify(wechatRequestOf(serial)),
      };
    // A key may do only so much a second.
    const headers = { ...JSON_TYPE, authorization: `Bearer ${keys[n % keys.length]}` };
    if (idempotent) headers['idempotency-key'] = `bench-${serial}`;
    return {
      method: 'POST',
      path: `/api/v1/accounts/${ACCOUNT.appid}/messages`,
      headers,
      body: JSON.stringify(requestOf(serial)),
    };
  });
}

async function open(origin, inFlight) {
  const pool = new Pool(origin, { connections: inFlight, pipelining: 1 });
  const look = async () => (await pool.request({ method: 'GET', path: '/' })).body.dump();
  await Promise.all(Array.from({ length: inFlight }, look));
  return pool;
}

async function send(task) {
  const { origin, keys, inFlight } = task;
  const requests = requestsOf(task);
  const isAccepted = keys ? /"status":"accepted"/ : /"errcode":0/;
  const pool = await open(origin, inFlight);
  const latencies = [];
  let next = 0;
  const keepSending = async () => {
    while (next < requests.length) {
      const request = requests[(next += 1) - 1];
      const sentAt = performance.now();
      const { statusCode, body } = await pool.request(request);
      const text = await body.text();
      latencies.push(performance.now() - sentAt);
      if (statusCode !== 200 || !isAccepted.test(text))
        throw new Error(`Answered ${statusCode}: ${text.slice(0, 1_000)}`);
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: inFlight }, keepSending));
  const elapsed = performance.now() - startedAt;
  await pool.close();
  const sorted = Float64Array.from(latencies).sort();
  const quantile = (part) => sorted[Math.floor((sorted.length - 1) * part)];
  return {
    perSecond: (latencies.length * 1_000) / elapsed,
    p50: quantile(0.5),
    p99: quantile(0.99),
  };
}

serve({ send });
