/** Something that goes wrong, the next times a path is called. */
export interface Fault {
  /** Exact, or a beginning followed by `*`. */
  path: string;
  /** Only for calls about this account: named in the body, or the token's owner. */
  appid?: string;
  /** How often; default 1. */
  times?: number;
  kind:
    | 'errcode'
    | 'http_500'
    /** Answers, late. */
    | 'delay'
    /** Never answers. */
    | 'hang'
    /** Breaks off before anything was done. */
    | 'reset'
    /** Does what was asked, then breaks off. */
    | 'lost_answer'
    | 'not_json';
  errcode?: number;
  delayMs?: number;
}

/** The faults that are waiting for their call. */
export class Faults {
  readonly #waiting: { fault: Fault; left: number }[] = [];

  add(fault: Fault): void {
    this.#waiting.push({ fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#waiting.length = 0;
  }

  /** The fault for this call, counted as used; null when nothing goes wrong. */
  take(path: string, appids: readonly unknown[]): Fault | null {
    const found = this.#waiting.find(
      ({ fault }) =>
        matches(fault.path, path) && (fault.appid === undefined || appids.includes(fault.appid)),
    );
    if (!found) return null;
    found.left -= 1;
    if (found.left <= 0) this.#waiting.splice(this.#waiting.indexOf(found), 1);
    return found.fault;
  }
}

function matches(pattern: string, path: string): boolean {
  return pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
}
