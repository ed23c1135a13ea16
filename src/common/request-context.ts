import { AsyncLocalStorage } from 'node:async_hooks';

/** What is known of the request that is being answered, for the log lines made on its way. */
export interface RequestContext {
  requestId: string;
  /** The caller's address, believed through `TRUSTED_PROXIES` only. */
  ip: string;
}

/** Empty outside a request, e.g. in a scheduled job. */
export const requestContext = new AsyncLocalStorage<RequestContext>();
