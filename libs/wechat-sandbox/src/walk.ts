/** A step of the walk that did not go as it should; the message says which and what came instead. */
export class WalkError extends Error {
  override readonly name = 'WalkError';
}

export interface Walker {
  /** The service's PUBLIC_URL. */
  serviceUrl: string;
  apiKey: string;
  /** Told of every step that went well. */
  onStep: (text: string) => void;
}

interface Page {
  url: string;
  status: number;
  text: string;
}

/**
 * Walks one authorization as a person's browser does: launch page, scan page, account, permissions, back to us; then
 * switches the account on, as an admin does.
 *
 * @returns the account's appid, which then stands in the list as authorized and enabled
 * @throws WalkError naming the step that failed
 */
export async function walkAuthorization(
  walker: Walker,
  accountType: 'official_account' | 'mini_program',
): Promise<string> {
  const { serviceUrl, onStep } = walker;
  const made = await callApi(walker, 'POST', '/authorizations', { accountType });
  const [id, launchUrl] = [String(made['id']), String(made['launchUrl'])];
  onStep(`发起授权 started an authorization: ${accountType}`);

  const launch = await open('launch page', launchUrl);
  const scanUrl = attribute(launch, /<a\b[^>]*\bid="scan-link"[^>]*\bhref="([^"]+)"/);
  onStep('打开授权页 opened the launch page');

  const scan = await open('scan page', scanUrl, { referer: `${new URL(serviceUrl).origin}/` });
  onStep('进入微信扫码页 reached the scan page');

  const permissions = await submitForm('account', scan, /<form\b[\s\S]*?<\/form>/);
  const callback = await submitForm('permissions', permissions, /<form\b[\s\S]*?<\/form>/);
  if (!callback.text.includes('data-status="completed"')) throw failed('callback page', callback);
  onStep('选择账号、确认权限并返回 chose an account, confirmed, came back');

  const authorization = await callApi(walker, 'GET', `/authorizations/${id}`);
  const account = authorization['account'] as { appid?: string } | null;
  if (authorization['status'] !== 'completed' || !account?.appid) {
    throw new WalkError(`authorization: status ${String(authorization['status'])}`);
  }
  const list = (await callApi(walker, 'GET', '/accounts')) as {
    items?: { appid: string; nickname: string; authorization: { state: string } }[];
  };
  const listed = list.items?.find(({ appid }) => appid === account.appid);
  if (listed?.authorization.state !== 'authorized')
    throw new WalkError('accounts: it is not in the list');
  onStep(`账号已在列表中 the account is in the list: ${listed.nickname} ${listed.appid}`);
  await enable(walker, listed.appid);
  return listed.appid;
}

/** Chooses the proposed OpenID property, and switches the account on. */
async function enable(walker: Walker, appid: string): Promise<void> {
  const account = await callApi(walker, 'GET', `/accounts/${appid}`);
  const suggested = account['suggestedOpenidProperty'] as { name: string } | null;
  const property = suggested?.name ?? String(account['openidProperty']);
  await callApi(walker, 'PUT', `/accounts/${appid}/openid-property`, { property });
  walker.onStep(`设置 OpenID 属性 chose the OpenID property: ${property}`);
  const { scenes } = (await callApi(walker, 'POST', `/accounts/${appid}/enable`)) as {
    scenes?: { scene: string; available: boolean }[];
  };
  const available = scenes?.filter((scene) => scene.available).map(({ scene }) => scene) ?? [];
  walker.onStep(`账号已启用，可用场景 switched on, with the scenes: ${available.join(', ')}`);
}

/** Calls the service's API. @throws WalkError with the status and the code of a refusal */
export async function callApi(
  { serviceUrl, apiKey }: Pick<Walker, 'serviceUrl' | 'apiKey'>,
  method: string,
  path: string,
  body?: object,
): Promise<Record<string, unknown>> {
  const response = await fetch(`${serviceUrl}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const answer = (await response.json()) as Record<string, unknown>;
  if (!response.ok) {
    throw new WalkError(
      `${method} ${path}: ${response.status} ${String(answer['code'])} ${String(answer['detail'])}`,
    );
  }
  return answer;
}

async function open(
  step: string,
  url: string,
  headers: Record<string, string> = {},
): Promise<Page> {
  const response = await fetch(url, { headers });
  const page = { url: response.url, status: response.status, text: await response.text() };
  if (!response.ok) throw failed(step, page);
  return page;
}

/** Sends the first form of the page with what stands in it, as pressing its button does. */
async function submitForm(step: string, page: Page, pattern: RegExp): Promise<Page> {
  const form = pattern.exec(page.text)?.[0];
  const action = form && /action="([^"]+)"/.exec(form)?.[1];
  if (!form || !action) throw failed(step, page);
  const fields = new URLSearchParams();
  for (const [input] of form.matchAll(/<input\b[^>]*>/g)) {
    const name = /\bname="([^"]*)"/.exec(input)?.[1];
    const value = /\bvalue="([^"]*)"/.exec(input)?.[1];
    const isChosen = !input.includes('type="checkbox"') || /\schecked\b/.test(input);
    if (name && isChosen) fields.append(name, decode(value ?? ''));
  }
  const response = await fetch(new URL(decode(action), page.url), {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', referer: page.url },
    body: fields,
  });
  const next = { url: response.url, status: response.status, text: await response.text() };
  if (!response.ok) throw failed(step, next);
  return next;
}

function attribute(page: Page, pattern: RegExp): string {
  const value = pattern.exec(page.text)?.[1];
  if (!value) throw failed('link', page);
  return decode(value);
}

function decode(text: string): string {
  return text.replace(/&#(\d+);/g, (_all, code: string) => String.fromCharCode(Number(code)));
}

/** Without the address: it may carry a code. */
function failed(step: string, { status, text }: Page): WalkError {
  const words = text
    .replace(/<style[\s\S]*?<\/style>|<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return new WalkError(`${step}: HTTP ${status} ${words.slice(0, 300)}`);
}
