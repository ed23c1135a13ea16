// Sends pushes over keep-alive connections, each push once, the next one on a connection when its answer is there.
// Told over IPC: { count, path } builds the pushes, { port, seconds, limit, perSecond, sampleEvery } sends them. A path is a
// mini-program's own address: then they are receipts of subscription messages. At a rate, a push is late when no
// connection is free; every so many are told of when they are sent.
import { connect } from 'node:net';

import { ACCOUNT, fromBuild, makeOwnReceipt, makeReceipt } from './shared.mjs';

const CONNECTIONS = 64;
const PROGRESS_EVERY = 2_000;

const PACE_MS = 2;

const { makePush } = await fromBuild(process.argv[2], 'libs/wechat-sandbox/src/pusher.js');
const { makeOwnPush } = await fromBuild(process.argv[2], 'libs/wechat-sandbox/src/own-push.js');
/** All requests, one behind the other, so that the collector has nothing to walk through. */
let bytes = Buffer.alloc(0);
let ends = new Uint32Array(1);
let next = 0;

function build(count, path) {
  const requests = Array.from({ length: 256 }, (_, n) => requestOf(n, path));
  const largest = Math.max(...requests.map(({ length }) => length)) + 16;
  bytes = Buffer.allocUnsafeSlow(largest * count);
  ends = new Uint32Array(count + 1);
  for (let n = 0; n < count; n += 1) {
    ends[n + 1] = ends[n] + requestOf(n, path).copy(bytes, ends[n]);
  }
}

function requestOf(n, path = `/wechat/accounts/${ACCOUNT.appid}/messages`) {
  const isOwn = path.startsWith('/wechat/receipts/');
  const { query, body, contentType } = isOwn
    ? makeOwnReceipt(makeOwnPush, n)
    : makeReceipt(makePush, n);
  return Buffer.from(
    `POST ${path}?${new URLSearchParams(query)} HTTP/1.1\r\n` +
      'Host: channel.test\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\n' +
      `Content-Type: ${contentType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function requestNumber(n) {
  return bytes.subarray(ends[n], ends[n + 1]);
}

/** One slice. Only `success` counts; anything else ends it as a failure. */
async function send({ port, seconds = Infinity, limit = Infinity, perSecond, sampleEvery }) {
  const most = Math.min(limit, ends.length - 1);
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(port)));
  const latencies = [];
  let [sent, answered, inTime] = [0, 0, 0];
  const startedAt = performance.now();
  const deadline = startedAt + seconds * 1_000;
  let endedAt = startedAt;
  const due = () => (perSecond ? ((performance.now() - startedAt) / 1_000) * perSecond : Infinity);
  const idle = [];
  const pacing = setInterval(() => {
    while (idle.length > 0 && (sent < due() || performance.now() >= deadline)) idle.pop()();
  }, PACE_MS);
  await new Promise((resolve, reject) => {
    for (const socket of sockets) {
      let held = '';
      let sentAt = 0;
      const ask = () => {
        if (sent >= most && most < limit)
          return reject(new Error(`The ${most} pushes are used up: take fewer --seconds.`));
        if (sent >= most || performance.now() >= deadline) {
          if (answered === sent) resolve();
          return;
        }
        if (sent >= due()) return idle.push(ask);
        const n = next;
        next = (next + 1) % (ends.length - 1);
        if (sampleEvery && sent % sampleEvery === 0)
          process.send({ progress: { n, at: Date.now() } });
        sent += 1;
        sentAt = performance.now();
        socket.write(requestNumber(n));
      };
      socket.on('data', (chunk) => {
        held += chunk.latin1Slice();
        if (!isWhole(held)) return;
        if (!isSuccess(held)) return reject(new Error(`Answered: ${held.slice(0, 2_000)}`));
        held = '';
        const now = performance.now();
        answered += 1;
        if (now <= deadline) {
          inTime += 1;
          endedAt = now;
          latencies.push(now - sentAt);
        }
        if (!sampleEvery && answered % PROGRESS_EVERY === 0) process.send({ progress: answered });
        ask();
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('The server closed a connection.')));
      ask();
    }
  });
  clearInterval(pacing);
  for (const socket of sockets) socket.removeAllListeners('close').destroy();
  const sorted = Float64Array.from(latencies).sort();
  const quantile = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
  const elapsed = seconds === Infinity ? endedAt - startedAt : seconds * 1_000;
  return {
    successes: answered,
    elapsed: performance.now() - startedAt,
    perSecond: (inTime / elapsed) * 1_000,
    p50: quantile(0.5),
    p99: quantile(0.99),
  };
}

function isSuccess(text) {
  return text.startsWith('HTTP/1.1 200 ') && text.endsWith('\r\n\r\nsuccess');
}

function isWhole(text) {
  if (isSuccess(text)) return true;
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head + 2))?.[1] ?? 0;
  return text.length >= head + 4 + Number(length);
}

function open(port) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.once('connect', () => resolve(socket.off('error', reject))).once('error', reject);
  });
}

process.on('disconnect', () => process.exit());
process.on('message', (task) => {
  Promise.resolve(task.count === undefined ? send(task) : build(task.count, task.path)).then(
    (result) => process.send(result ?? {}),
    (error) => process.send({ failure: String(error) }),
  );
});
process.send({});
