import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { ComponentService } from '../src/component-authorization/component.service.js';
import { startApp, type TestApp } from './app.js';
import { until } from './until.js';

const START_PUSH = '/cgi-bin/component/api_start_push_ticket';
const COMPONENT_TOKEN = '/cgi-bin/component/api_component_token';
const MINUTE_MS = 60_000;

interface ComponentBody {
  appid: string;
  ticket: { receivedAt: string | null; ageSeconds: number | null; state: string };
  accessToken: { expiresAt: string | null; state: string };
  callbackUrls: { events: string; messages: string };
  launchPageDomain: string;
  warnings: { code: string; detail: string }[];
}

let app: TestApp;

beforeEach(async () => {
  app = await startApp();
});
afterEach(() => app.stop());

const component = async (): Promise<ComponentBody> =>
  (await app.api<ComponentBody>('GET', '/component')).body;
const watch = async (): Promise<void> => {
  await app.app.get(ComponentService).watchTicket();
  await app.settled();
};

describe('GET /component', () => {
  it('says what to enter in the console, and how ticket and token stand', async () => {
    expect(await component()).toEqual({
      appid: 'wx0c0ffee0c0ffee00',
      ticket: { receivedAt: '2026-01-01T00:00:00.000Z', ageSeconds: 0, state: 'fresh' },
      accessToken: { expiresAt: null, state: 'missing' },
      callbackUrls: {
        events: 'http://channel.test/wechat/component/events',
        messages: 'http://channel.test/wechat/accounts/$APPID$/messages',
      },
      launchPageDomain: 'channel.test',
      warnings: [{ code: 'public_url_not_https', detail: expect.any(String) }],
    });
    await app.api('POST', '/authorizations', { accountType: 'any' });
    expect((await component()).accessToken).toEqual({
      expiresAt: '2026-01-01T02:00:00.000Z',
      state: 'fresh',
    });
  });
});

describe('the ticket', () => {
  it('of an older push never replaces a newer one', async () => {
    app.clock.advance(10 * MINUTE_MS);
    await app.sandbox.pushTicket('ticket@@@newer');
    const old = Math.floor(app.clock.now().getTime() / 1000) - 300;
    await app.sandbox.pushEvent({
      InfoType: 'component_verify_ticket',
      ComponentVerifyTicket: 'ticket@@@older',
      CreateTime: old,
    });
    await app.settled();
    await app.api('POST', '/authorizations', { accountType: 'any' });
    const call = app.sandbox.journal.findLast(({ path }) => path === COMPONENT_TOKEN);
    expect(call?.body).toMatchObject({ component_verify_ticket: 'ticket@@@newer' });
  });

  it('survives a restart', async () => {
    await app.restart();
    expect((await component()).ticket.state).toBe('fresh');
    expect((await app.api('POST', '/authorizations', { accountType: 'any' })).status).toBe(201);
  });

  it('that is late is warned of, then pushed again, with growing pauses', async () => {
    app.sandbox.eventsUrl = null;
    const asked = app.sandbox.callsTo(START_PUSH);
    app.clock.advance(31 * MINUTE_MS);
    await watch();
    expect((await component()).ticket.state).toBe('late');
    expect((await component()).warnings.map(({ code }) => code)).toContain('ticket_late');
    expect(app.sandbox.callsTo(START_PUSH)).toBe(asked);

    app.clock.advance(30 * MINUTE_MS);
    await watch();
    await watch();
    expect(app.sandbox.callsTo(START_PUSH)).toBe(asked + 1);
    app.clock.advance(5 * MINUTE_MS);
    await watch();
    expect(app.sandbox.callsTo(START_PUSH)).toBe(asked + 2);
    app.clock.advance(5 * MINUTE_MS);
    await watch();
    expect(app.sandbox.callsTo(START_PUSH)).toBe(asked + 2);
    app.clock.advance(5 * MINUTE_MS);
    await watch();
    expect(app.sandbox.callsTo(START_PUSH)).toBe(asked + 3);

    app.clock.advance(12 * 60 * MINUTE_MS);
    expect((await component()).ticket.state).toBe('expired');
  });

  it('is asked for anew when WeChat refuses the one we have', async () => {
    const asked = app.sandbox.callsTo(START_PUSH);
    app.sandbox.data.tickets = {};
    expect(await app.api('POST', '/authorizations', { accountType: 'any' })).toMatchObject({
      status: 502,
      body: { wechat: { errcode: 61006, advice: expect.stringContaining('重新推送') } },
    });
    expect(app.sandbox.callsTo(START_PUSH)).toBe(asked + 1);
    await app.settled();
    expect((await app.api('POST', '/authorizations', { accountType: 'any' })).status).toBe(201);
  });

  it('is asked for by hand', async () => {
    const asked = app.sandbox.callsTo(START_PUSH);
    expect((await app.api('POST', '/component/ticket-push')).status).toBe(202);
    expect(app.sandbox.callsTo(START_PUSH)).toBe(asked + 1);
  });
});

describe('without a ticket', () => {
  it('asks for one at start', async () => {
    const fresh = await startApp({ withoutTicket: true });
    // Not waited for at boot: WeChat may be slow.
    await until(() => fresh.sandbox.callsTo(START_PUSH) > 0);
    await fresh.settled();
    expect(fresh.sandbox.callsTo(START_PUSH)).toBe(1);
    await fresh.stop();
  });

  it('refuses to start an authorization with what to do', async () => {
    const fresh = await startApp({
      withoutTicket: true,
      env: { WECHAT_API_BASE_URL: 'http://127.0.0.1:9' },
    });
    expect(await fresh.api('POST', '/authorizations', { accountType: 'any' })).toMatchObject({
      status: 503,
      body: {
        code: 'component_ticket_missing',
        detail: expect.stringContaining('/api/v1/component/ticket-push'),
      },
    });
    const ready = await fetch(`${fresh.url}/health/ready`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ status: 'ready', component: { ticket: 'missing' } });
    await fresh.stop();
  });

  it('is no news of a platform that is just being set up, until it was asked for in vain', async () => {
    const fresh = await startApp({
      withoutTicket: true,
      env: { WECHAT_API_BASE_URL: 'http://127.0.0.1:9' },
    });
    const told = async (): Promise<number> =>
      (await fresh.api<{ items: unknown[] }>('GET', '/events?type=component.ticket_late')).body
        .items.length;
    const watchAfter = async (minutes: number): Promise<number> => {
      fresh.clock.advance(minutes * 60_000);
      await fresh.app.get(ComponentService).watchTicket();
      return told();
    };
    expect(await told()).toBe(0);
    const news: number[] = [];
    for (const minutes of [1, 4, 10, 20, 60]) news.push(await watchAfter(minutes));
    expect(news).toEqual([0, 0, 0, 1, 1]);
    await fresh.stop();
  });
});
