import { AsyncLocalStorage } from 'node:async_hooks';

/** What is known of the request that is being answered, for the log lines and audit rows made on its way. */
export interface RequestContext {
  requestId: string;
  /** The caller's address, believed through `TRUSTED_PROXIES` only. */
  ip: string;
}

const storage = new AsyncLocalStorage<RequestContext>();

/**
 * How many requests are on their way. Before Node 24 every promise of the process costs more while a context is
 * followed: between requests, e.g. while nothing but pushes comes in, none is.
 */
let open = 0;

/** The request that is being answered here; undefined outside of one, e.g. in a scheduled job. */
export function currentRequest(): RequestContext | undefined {
  return storage.getStore();
}

/** Begins a request. {@link leaveRequest} must follow, once. */
export function enterRequest(context: RequestContext, then: () => void): void {
  open += 1;
  storage.run(context, then);
}

/** Goes on with a request where something has left its context behind. */
export function resumeRequest(context: RequestContext, then: () => void): void {
  storage.run(context, then);
}

export function leaveRequest(): void {
  open -= 1;
  if (open === 0) storage.disable();
}

/** Does work that belongs to a request beyond its answer. */
export function runInRequest<T>(context: RequestContext, work: () => Promise<T>): Promise<T> {
  open += 1;
  return storage.run(context, work).finally(leaveRequest);
}

/** Does work that is asked for by a request but not part of it. */
export function outsideRequest<T>(work: () => T): T {
  return storage.exit(work);
}
