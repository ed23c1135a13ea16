import type { DestinationStream } from 'pino';
import sonicBoom from 'sonic-boom';

/** Of lines that nobody takes. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

/**
 * Standard output, written beside the work. Whoever reads it may be slow, or gone: then lines are lost, and neither the
 * process nor its end waits for them. pino's own destination tries to write its last lines for ever.
 */
export function standardOutput(): DestinationStream {
  const out = new sonicBoom.SonicBoom({ fd: 1, maxLength: MAX_WAITING_BYTES });
  let isGone = false;
  // Of a full disk it may recover; a reader that has left does not come back.
  out.on('error', ({ code }: NodeJS.ErrnoException) => (isGone ||= code === 'EPIPE'));
  process.once('exit', () => {
    if (isGone) return;
    try {
      out.flushSync();
    } catch {
      // There is nobody left to tell.
    }
  });
  return { write: (line) => void (isGone || out.write(line)) };
}
