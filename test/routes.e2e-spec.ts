import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { includesRole, type Role, ROLES } from '../src/access/roles.js';
import { type Answer, OWNER_KEY, startApp, type TestApp } from './app.js';
import {
  begin,
  enableAccount,
  makeKey,
  MINI_PROGRAM,
  SERVICE_ACCOUNT,
  uploadPicture,
} from './helpers.js';
import { send } from './message-helpers.js';

/** What the document says there is, with the smallest role that may call it. */
const ROUTES: Record<string, Role> = {
  'GET /component': 'owner',
  'POST /component/ticket-push': 'owner',
  'GET /component/quota': 'owner',
  'GET /component/quota-resets': 'owner',
  'POST /component/quota-resets': 'owner',
  'POST /authorizations': 'admin',
  'GET /authorizations/{id}': 'viewer',
  'GET /accounts': 'viewer',
  'GET /accounts/{appid}': 'viewer',
  'DELETE /accounts/{appid}': 'owner',
  'PUT /accounts/{appid}/openid-property': 'admin',
  'GET /accounts/{appid}/enable-checks': 'viewer',
  'POST /accounts/{appid}/enable': 'admin',
  'POST /accounts/{appid}/disable': 'admin',
  'POST /accounts/{appid}/reauthorizations': 'admin',
  'GET /accounts/{appid}/quota': 'viewer',
  'GET /accounts/{appid}/quota-resets': 'viewer',
  'POST /accounts/{appid}/quota-resets': 'admin',
  'GET /user-properties': 'viewer',
  'PUT /user-properties': 'admin',
  'POST /accounts/sync': 'admin',
  'POST /accounts/{appid}/claim': 'owner',
  'GET /accounts/{appid}/send-config': 'viewer',
  'PUT /accounts/{appid}/send-config': 'admin',
  'POST /accounts/{appid}/send-config/test': 'admin',
  'GET /accounts/{appid}/receipt-config': 'viewer',
  'PUT /accounts/{appid}/receipt-config': 'admin',
  'POST /accounts/{appid}/receipt-config/secrets': 'admin',
  'GET /accounts/{appid}/receipts': 'viewer',
  'GET /accounts/{appid}/media': 'viewer',
  'POST /accounts/{appid}/media': 'sender',
  'GET /accounts/{appid}/media/{id}': 'viewer',
  'GET /accounts/{appid}/media/{id}/content': 'viewer',
  'DELETE /accounts/{appid}/media/{id}': 'sender',
  'GET /accounts/{appid}/people': 'viewer',
  'GET /accounts/{appid}/people/{openid}': 'viewer',
  'DELETE /accounts/{appid}/people/{openid}': 'admin',
  'GET /accounts/{appid}/incoming-messages': 'admin',
  'GET /accounts/{appid}/eligibility': 'viewer',
  'GET /accounts/{appid}/templates': 'viewer',
  'GET /accounts/{appid}/qr-codes': 'viewer',
  'POST /accounts/{appid}/qr-codes': 'sender',
  'GET /accounts/{appid}/qr-codes/{id}': 'viewer',
  'PUT /accounts/{appid}/qr-codes/{id}': 'sender',
  'DELETE /accounts/{appid}/qr-codes/{id}': 'sender',
  'POST /accounts/{appid}/qr-codes/{id}/end': 'sender',
  'POST /accounts/{appid}/qr-codes/{id}/copy': 'sender',
  'GET /accounts/{appid}/qr-codes/{id}/image': 'viewer',
  'GET /accounts/{appid}/qr-codes/images.zip': 'viewer',
  'GET /accounts/{appid}/qr-codes/{id}/stats': 'viewer',
  'GET /accounts/{appid}/qr-codes/{id}/stats.csv': 'viewer',
  'GET /accounts/{appid}/qr-codes/{id}/stats.svg': 'viewer',
  'GET /accounts/{appid}/qr-codes/stats': 'viewer',
  'GET /accounts/{appid}/qr-codes/stats.csv': 'viewer',
  'POST /accounts/{appid}/messages': 'sender',
  'GET /accounts/{appid}/deliveries': 'viewer',
  'GET /deliveries/{id}': 'viewer',
  'GET /accounts/{appid}/auto-replies': 'viewer',
  'POST /accounts/{appid}/auto-replies': 'admin',
  'POST /accounts/{appid}/auto-replies/test': 'viewer',
  'GET /accounts/{appid}/auto-replies/{id}': 'viewer',
  'PUT /accounts/{appid}/auto-replies/{id}': 'admin',
  'DELETE /accounts/{appid}/auto-replies/{id}': 'admin',
  'GET /audit-log': 'admin',
  'GET /audit-log/verification': 'owner',
  'GET /events': 'viewer',
  'GET /webhooks': 'viewer',
  'POST /webhooks': 'admin',
  'PUT /webhooks/{id}': 'admin',
  'DELETE /webhooks/{id}': 'admin',
  'POST /webhooks/{id}/rotate-secret': 'admin',
  'POST /webhooks/{id}/test': 'admin',
  'POST /webhooks/{id}/replay': 'admin',
  'GET /webhooks/{id}/deliveries': 'viewer',
  'GET /api-keys': 'owner',
  'POST /api-keys': 'owner',
  'DELETE /api-keys/{id}': 'owner',
  'POST /key-rotations': 'owner',
  'GET /key-rotations': 'owner',
  'GET /key-rotations/{id}': 'owner',
  'GET /pushes': 'owner',
  'POST /pushes/redrive': 'owner',
  'POST /pushes/{id}/redrive': 'owner',
  'GET /work': 'owner',
  'POST /work/{id}/retry': 'owner',
};

/** What a route cannot be called without. */
const QUERIES: Readonly<Record<string, string>> = {
  'GET /accounts/{appid}/quota': '?path=/cgi-bin/message/custom/send',
  'GET /accounts/{appid}/eligibility': '?openid=unknown&kind=broadcast',
  'GET /accounts/{appid}/qr-codes/images.zip': '?ids={qr-codes}',
};

const RULE = {
  name: '欢迎',
  trigger: { type: 'follow' },
  replies: [{ type: 'text', text: '您好' }],
};

const BODIES: Readonly<Record<string, object>> = {
  'PUT /accounts/{appid}/auto-replies/{id}': RULE,
  'PUT /webhooks/{id}': { url: 'https://hooks.example.com/' },
  'POST /webhooks/{id}/replay': { from: '2026-11-25T00:00:00Z', to: '2026-11-26T00:00:00Z' },
};

/** What answers with something else than JSON. */
const IS_NO_JSON = /\/content$|\/image$|\.zip\?|\.csv$|\.svg$/;

/** What takes a form. */
const IS_UPLOAD = /^POST .*\/media$/;

/** What anybody may call. */
const OPEN = ['GET /health/live', 'GET /health/ready'];

/** Collections that belong to the platform and not to a tenant. */
const OF_THE_PLATFORM = ['key-rotations', 'pushes', 'work'];

/** What only mini-programs have. */
const OF_MINI_PROGRAMS = /\/(?:send-config|receipt-config|receipts)\b/;

/** One real object of tenant A in each of the other collections that have any; of an account's, the official one's. */
const objects = new Map<string, string>();

let app: TestApp;
let addresses = 0;
const keysOfA = new Map<Role, string>();
let adminOfB: string;

beforeAll(async () => {
  // A wrong key for every route is more than one address may send: each comes from another one.
  app = await startApp({ env: { TRUSTED_PROXIES: '127.0.0.1' } });
  for (const role of ROLES) {
    const { id, key } = await makeKey(app, { name: role, role, tenantId: 'brand-a' });
    keysOfA.set(role, key);
    objects.set('api-keys', id);
  }
  adminOfB = (await makeKey(app, { name: 'admin', role: 'admin', tenantId: 'brand-b' })).key;
  const hook = { url: 'https://hooks.example.com/' };
  const { body } = await app.api<{ id: string }>('POST', '/webhooks', hook, {
    'x-tenant-id': 'brand-a',
  });
  objects.set('webhooks', body.id);
  const begun = await begin(app, { accountType: 'any' }, 'brand-a');
  objects.set('authorizations', begun.id);
  await app.sandbox.authorize({ appid: SERVICE_ACCOUNT, preAuthCode: begun.preAuthCode }).pushed;
  await app.settled();
  objects.set('accounts', SERVICE_ACCOUNT);
  objects.set('media', await uploadPicture(app, SERVICE_ACCOUNT));
  await enableAccount(app, SERVICE_ACCOUNT);
  const rule = await app.api<{ id: string }>(
    'POST',
    `/accounts/${SERVICE_ACCOUNT}/auto-replies`,
    RULE,
  );
  objects.set('auto-replies', rule.body.id);
  const code = await app.api<{ id: string }>('POST', `/accounts/${SERVICE_ACCOUNT}/qr-codes`, {
    name: '门店',
    channel: '线下',
    permanent: true,
  });
  objects.set('qr-codes', code.body.id);
  const unreachable = {
    kind: 'customer_service_message',
    content: { messages: [{ type: 'text', text: '您好' }] },
    to: { userId: 'user-1', properties: {} },
  };
  const skipped = await send(app, SERVICE_ACCOUNT, unreachable, { 'x-tenant-id': 'brand-a' });
  objects.set('deliveries', skipped.body.id);
  const other = await begin(app, { accountType: 'any' }, 'brand-a');
  await app.sandbox.authorize({ appid: MINI_PROGRAM, preAuthCode: other.preAuthCode }).pushed;
  await app.settled();
});
afterAll(() => app.stop());

const call = (
  route: string,
  authorization: string,
  { id = 'unknown', tenant }: { id?: string; tenant?: string } = {},
): Promise<Answer> => {
  const [method = '', path = ''] = route.split(' ');
  const inner = /\{\w+\}\/([\w-]+)\/\{/.exec(path)?.[1] ?? '';
  const address = path
    .replace(/\{\w+\}/, id)
    .replaceAll(/\{\w+\}/g, objects.get(inner) ?? 'unknown');
  const query = (QUERIES[route] ?? '').replace('{qr-codes}', objects.get('qr-codes') ?? '');
  return read(method, address + query, BODIES[route], {
    authorization,
    'x-forwarded-for': `192.0.2.${(addresses += 1) % 256}`,
    ...(tenant !== undefined && { 'x-tenant-id': tenant }),
  });
};

/** As `app.api`, for what is no JSON too. */
async function read(
  method: string,
  path: string,
  body: object | undefined,
  headers: Record<string, string>,
): Promise<Answer> {
  if (!IS_NO_JSON.test(path)) return app.api(method, path, body, headers);
  const response = await fetch(`${app.url}/api/v1${path}`, { method, headers });
  const isProblem = response.headers.get('content-type')?.includes('json') === true;
  const said = isProblem ? ((await response.json()) as Record<string, unknown>) : {};
  return { status: response.status, body: said, headers: response.headers };
}

const objectOf = (route: string): string | undefined =>
  OF_MINI_PROGRAMS.test(route) ? MINI_PROGRAM : objects.get(collectionOf(route));
const collectionOf = (route: string): string => route.split('/')[1] ?? '';
const hasObjects = (route: string): boolean => route.includes('{');

/** The body of a problem, without what differs from call to call. */
function problemOf({ status, body }: Answer): object {
  const { instance: _instance, requestId: _requestId, ...rest } = body;
  return { httpStatus: status, ...rest };
}

describe('the document', () => {
  it('has no route without a rule here, and no rule is without its route', async () => {
    const { paths } = (await (await fetch(`${app.url}/docs-json`)).json()) as {
      paths: Record<string, object>;
    };
    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map(
        (method) => `${method.toUpperCase()} ${path.replace(/^\/api\/v1/, '')}`,
      ),
    );
    expect(routes.toSorted()).toEqual([...Object.keys(ROUTES), ...OPEN].toSorted());
  });

  it.each(OPEN)('%s asks for no key', async (route) => {
    const response = await fetch(`${app.url}${route.split(' ')[1]}`);
    expect(response.status).toBe(200);
  });
});

describe.each(Object.entries(ROUTES))('%s', (route, needed) => {
  it.each([
    ['no key', '', 'api_key_missing'],
    ['a wrong key', 'Bearer wrong', 'api_key_invalid'],
    ['another scheme', `Basic ${OWNER_KEY}`, 'api_key_missing'],
  ])('is closed to %s', async (_case, authorization, code) => {
    expect(await call(route, authorization)).toMatchObject({ status: 401, body: { code } });
  });

  it.each(ROLES)(`for the %s: open from ${needed} on`, async (role) => {
    const { status } = await call(route, `Bearer ${keysOfA.get(role)}`);
    expect(refusalOf(status)).toBe(refusalFor(role, needed));
  });

  it("for another tenant's admin: the same rule", async () => {
    const { status } = await call(route, `Bearer ${adminOfB}`);
    expect(refusalOf(status)).toBe(refusalFor('admin', needed));
  });
});

/** Whether the status says that the caller may not, whatever else it says. */
function refusalOf(status: number): number | null {
  return status === 401 || status === 403 ? status : null;
}

function refusalFor(held: Role, needed: Role): number | null {
  return includesRole(held, needed) ? null : 403;
}

const withObjects = Object.entries(ROUTES).filter(
  ([route]) => hasObjects(route) && !OF_THE_PLATFORM.includes(collectionOf(route)),
);

describe.each(withObjects)("another tenant's object: %s", (route, needed) => {
  /** Somebody whose role is large enough, but who acts for tenant B. */
  const callForB = (id: string): Promise<Answer> =>
    includesRole('admin', needed)
      ? call(route, `Bearer ${adminOfB}`, { id })
      : call(route, `Bearer ${OWNER_KEY}`, { id, tenant: 'brand-b' });

  it('looks like one that does not exist', async () => {
    const id = objectOf(route);
    if (id === undefined) throw new Error('beforeAll makes no object for this route.');
    const foreign = await callForB(id);
    expect(foreign.status).toBe(404);
    expect(problemOf(foreign)).toEqual(problemOf(await callForB('unknown')));
  });

  it('does so whatever is wrong with the query and the body', async () => {
    const [method = '', path = ''] = route.split(' ');
    const address = path.replaceAll(/\{\w+\}/g, 'unknown');
    const body = method === 'GET' || IS_UPLOAD.test(route) ? undefined : { nobody: 'knows' };
    expect((await app.api(method, `${address}?limit=0&nobody=knows`, body)).status).toBe(404);
  });
});

describe.each(withObjects.filter(([route]) => route.startsWith('GET ')))(
  'an object of their own: %s',
  (route, needed) => {
    it('is there', async () => {
      const id = objectOf(route) ?? '';
      const { status } = await call(route, `Bearer ${keysOfA.get(needed)}`, { id });
      expect(status).toBe(200);
    });
  },
);

it("another tenant's attempts have left the objects alone", async () => {
  const list = await app.api<{ items: { id: string }[] }>('GET', '/api-keys');
  expect(list.body.items.map(({ id }) => id)).toContain(objects.get('api-keys'));
});

describe('/metrics', () => {
  it('is open to owners only, although no document has it', async () => {
    const read = async (key?: string): Promise<number> => {
      const headers: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {};
      return (await fetch(`${app.url}/metrics`, { headers })).status;
    };
    expect(await read()).toBe(401);
    expect(await read(keysOfA.get('admin'))).toBe(403);
    expect(await read(keysOfA.get('owner'))).toBe(200);
  });
});
