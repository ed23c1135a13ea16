// Who else uses the processors while something is measured. Without /proc, nobody is seen.
import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/** Seconds of processor time that everything together has used. */
function usedByAll() {
  const [user, nice, system, , , irq, softirq, steal] = read('/proc/stat')
    .split('\n', 1)[0]
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
}

/** Seconds of processor time that a process has used. @throws Error without /proc */
export function usedBy(pid) {
  // The name stands in brackets and may hold anything.
  const fields = read(`/proc/${pid}/stat`).split(') ').at(-1).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function read(path) {
  return readFileSync(path, 'utf8');
}

/** The processes of a database server on this machine. */
function databasePids() {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return /^(?:mariadbd|mysqld)$/.test(read(`/proc/${name}/comm`).trim());
    } catch {
      return false; // it has ended in between
    }
  });
}

/**
 * Begins to watch.
 *
 * @param pids of those whose use is part of the measurement, beside the database server
 * @returns a function that tells how many processors all others have kept busy since, on average
 */
export function watchOthers(pids) {
  try {
    const ours = [...pids, process.pid, ...databasePids()];
    const usedByOthers = () => usedByAll() - ours.reduce((sum, pid) => sum + usedBy(pid), 0);
    const before = usedByOthers();
    const startedAt = performance.now();
    return () => (usedByOthers() - before) / ((performance.now() - startedAt) / 1_000);
  } catch {
    return () => 0;
  }
}
