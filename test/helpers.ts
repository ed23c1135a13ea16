import { randomUUID } from 'node:crypto';

import type { Role } from '../src/access/roles.js';
import { Account } from '../src/accounts/account.entity.js';
import { Database } from '../src/database/database.js';
import { OWNER_KEY, PUBLIC_URL, type TestApp } from './app.js';

export const SERVICE_ACCOUNT = 'wx1badb002feedface';
export const SUBSCRIPTION_ACCOUNT = 'wx0fa11babe0fa11ba';
export const MINI_PROGRAM = 'wx3c0ffee53c0ffee5';

export interface AccountBody {
  appid: string;
  tenantId: string | null;
  accountType: string;
  subtype: string;
  nickname: string;
  verified: boolean;
  verifyType: number | null;
  enabled: boolean;
  openidProperty: string | null;
  syncedAt: string | null;
  authorization: { state: string; authorizedAt: string; unauthorizedAt: string | null };
  permissions: { id: number; name: string; required: boolean; granted: boolean }[];
  missingPermissions: { id: number; name: string }[];
  failingChecks: { check: string }[];
  suggestedOpenidProperty: { name: string } | null;
}

export interface AuthorizationBody {
  id: string;
  status: string;
  account: { appid: string; nickname: string; accountType: string } | null;
  failure: { code: string; detail: string } | null;
}

export interface ApiKeyBody {
  id: string;
  name: string;
  role: Role;
  tenantId: string;
  prefix: string;
  createdAt: string;
  expiresAt: string | null;
  lastUsedAt: string | null;
}

/** Makes a key, as an owner does. */
export async function makeKey(
  app: TestApp,
  wanted: { name: string; role: Role; tenantId?: string; expiresAt?: string },
): Promise<ApiKeyBody & { key: string }> {
  const made = await app.api<ApiKeyBody & { key: string }>('POST', '/api-keys', wanted);
  if (made.status !== 201)
    throw new Error(`POST /api-keys: ${made.status} ${JSON.stringify(made.body)}`);
  return made.body;
}

/** What an authorization in progress gives a test to play with. */
export interface Begun {
  id: string;
  launchUrl: string;
  preAuthCode: string;
  /** Where WeChat sends the browser, before its own parameters. */
  redirectUri: string;
}

/** Starts an authorization, as a tenant's admin does, and reads what its launch page links to. */
export async function begin(
  app: TestApp,
  body: object = { accountType: 'any' },
  tenant?: string,
): Promise<Begun> {
  const headers: Record<string, string> = tenant === undefined ? {} : { 'x-tenant-id': tenant };
  const made = await app.api('POST', '/authorizations', body, headers);
  if (made.status !== 201)
    throw new Error(`POST /authorizations: ${made.status} ${JSON.stringify(made.body)}`);
  const [id, launchUrl] = [String(made.body['id']), String(made.body['launchUrl'])];
  const { text } = await app.page(launchUrl);
  const link = new URL(linkOf(text, 'scan-link'));
  return {
    id,
    launchUrl,
    preAuthCode: link.searchParams.get('pre_auth_code') ?? '',
    redirectUri: link.searchParams.get('redirect_uri') ?? '',
  };
}

/** The address behind a link of a page, by the link's id. */
export function linkOf(page: string, id: string): string {
  const tag = new RegExp(`<a\\b[^>]*\\bid="${id}"[^>]*>`).exec(page)?.[0] ?? '';
  const href = /\bhref="([^"]*)"/.exec(tag)?.[1] ?? '';
  return href.replace(/&#(\d+);/g, (_all, code: string) => String.fromCharCode(Number(code)));
}

/** The callback address as WeChat's redirect makes it. */
export function callbackUrl(redirectUri: string, authCode: string): string {
  const url = new URL(redirectUri, PUBLIC_URL);
  url.searchParams.set('auth_code', authCode);
  url.searchParams.set('expires_in', '3600');
  return url.href;
}

export async function getAccount(
  app: TestApp,
  appid: string,
  tenant?: string,
): Promise<AccountBody | null> {
  const headers: Record<string, string> = tenant === undefined ? {} : { 'x-tenant-id': tenant };
  const answer = await app.api<AccountBody>('GET', `/accounts/${appid}`, undefined, headers);
  return answer.status === 200 ? answer.body : null;
}

export async function getAuthorization(app: TestApp, id: string): Promise<AuthorizationBody> {
  return (await app.api<AuthorizationBody>('GET', `/authorizations/${id}`)).body;
}

/** The status that a page says of itself. */
export function statusOf(page: string): string | undefined {
  return /<main data-status="([a-z]+)"/.exec(page)?.[1];
}

/** Has the account's messages taken in. */
export async function enableAccount(app: TestApp, appid: string): Promise<void> {
  const { affected } = await app.app
    .get(Database)
    .write((tx) => tx.update(Account, { appid }, { enabled: true }));
  if (affected !== 1) throw new RangeError(`There is no account ${appid}.`);
}

/** The header of a new key with this role in the tenant. */
export async function authorizationOf(
  app: TestApp,
  role: Role,
  tenantId: string,
): Promise<{ authorization: string }> {
  const { key } = await makeKey(app, { name: `${role}-${randomUUID()}`, role, tenantId });
  return { authorization: `Bearer ${key}` };
}

/** What GET /metrics says, whole. */
export async function readMetrics(app: TestApp): Promise<string> {
  const response = await fetch(`${app.url}/metrics`, {
    headers: { authorization: `Bearer ${OWNER_KEY}` },
  });
  return response.text();
}

/**
 * The figure of one series.
 *
 * @param name without the service's prefix
 * @param labels in whatever order they stand; all of them
 * @returns null when there is no such series
 */
export function figureOf(
  metrics: string,
  name: string,
  labels: Record<string, string> = {},
): number | null {
  const wanted = Object.entries(labels)
    .map(([label, value]) => `${label}="${value}"`)
    .toSorted()
    .join();
  for (const line of metrics.split('\n')) {
    const [, found, given = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    const pairs = (given.match(/\w+="(?:[^"\\]|\\.)*"/g) ?? []).toSorted().join();
    if (found === `wechat_channel_${name}` && pairs === wanted) return Number(value);
  }
  return null;
}

/** Uploads a small picture for an account's messages. @returns the id of the medium */
export async function uploadPicture(app: TestApp, appid: string): Promise<string> {
  const form = new FormData();
  form.append('file', new Blob(['GIF89a']), 'picture.gif');
  const response = await fetch(`${app.url}/api/v1/accounts/${appid}/media`, {
    method: 'POST',
    headers: { authorization: `Bearer ${OWNER_KEY}` },
    body: form,
  });
  if (response.status !== 201) throw new Error(`POST …/media: ${await response.text()}`);
  return ((await response.json()) as { id: string }).id;
}
