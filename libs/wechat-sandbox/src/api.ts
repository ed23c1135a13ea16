import type { Results } from './results.js';
import type { SandboxAccount, SandboxData } from './state.js';

/** What an API is called with, after the checks that all of them share. */
export interface ApiCall {
  path: string;
  /** Empty for a GET and an upload. */
  body: Record<string, unknown>;
  query: URLSearchParams;
  /** Null unless the API takes uploads, and when there is no file. */
  upload: UploadedFile | null;
  /** The token's owner: the component's or an account's appid; null where none is needed. */
  tokenAppid: string | null;
  /** Where the call comes from. */
  ip: string;
  /** The token itself, as it was sent. */
  token: string | null;
  world: World;
}

/** The file of a form, with the texts beside it. */
export interface UploadedFile {
  bytes: Buffer;
  contentType: string;
  fields: Record<string, string>;
}

/** An answer that is no JSON. */
export class Bytes {
  constructor(
    readonly contentType: string,
    readonly body: Buffer,
  ) {}
}

/** What the APIs act on. */
export interface World {
  /** The sandbox's own origin. */
  readonly url: string;
  readonly data: SandboxData;
  readonly component: { appid: string; appSecret: string };
  /** Where the results of messages go. */
  readonly results: Results;
  /** Uploaded files by their media id. Not in the data, which may be kept in a file. */
  readonly mediaBytes: Map<string, Buffer>;
  now(): number;
  findAccount(appid: string): SandboxAccount | null;
  /** Sends a ticket to the platform soon, as WeChat does when asked. */
  requestTicket(): void;
}

/** A refusal in WeChat's words. */
export class Refusal extends Error {
  constructor(
    readonly errcode: number,
    readonly errmsg: string,
    /** What WeChat tells beside it. */
    readonly more: object = {},
  ) {
    super(errmsg);
  }
}

export interface Api {
  /** Default POST. */
  method?: 'GET' | 'POST';
  /** Takes a form with a file, and no JSON. */
  isUpload?: boolean;
  /** Whose access token the call needs. */
  token: 'none' | 'component' | 'authorizer' | 'any';
  /** For an account's API: the permission sets of which one must have been granted. */
  permissions?: readonly number[];
  handle(call: ApiCall): object;
}

/** APIs by path. A family is a file; it is registered in server.ts by one line. */
export type ApiFamily = Readonly<Record<string, Api>>;

export const OK = { errcode: 0, errmsg: 'ok' } as const;

/** A text of the body. @throws Refusal with `missing` when it is not there */
export function textOf(body: Record<string, unknown>, name: string, missing: Refusal): string {
  const value = body[name];
  if (typeof value !== 'string' || value === '') throw missing;
  return value;
}

export function checkComponentAppid({ body, world }: ApiCall): void {
  const appid = textOf(body, 'component_appid', new Refusal(41018, 'missing component_appid'));
  if (appid !== world.component.appid) throw new Refusal(40013, 'invalid appid');
}
