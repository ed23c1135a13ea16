export type { Resolve } from './dialer.js';
export { type FetchStep, SafeFetchError } from './error.js';
export {
  isHeaderAllowed,
  parseSafeUrl,
  SafeFetch,
  type SafeFetchOptions,
  type SafeRequest,
  type SafeResponse,
} from './safe-fetch.js';
