// Loaded into a process of the build by the fault tests (NODE_OPTIONS=--import): ends it, as kill -9 would, at the
// point and the passing that CRASH_AT names, e.g. `push.kept:7`. Production has no such listener.
import { subscribe } from 'node:diagnostics_channel';

// oxlint-disable-next-line node/no-process-env -- how the test tells the process where to end
const [name, passing = '1'] = (process.env.CRASH_AT ?? '').split(':');
let left = Number(passing);

subscribe('wechat-channel:crash-point', (point) => {
  if (point !== name) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
});
