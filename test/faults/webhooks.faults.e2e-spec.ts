import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { SERVICE_ACCOUNT } from '../helpers.js';
import { Receiver } from '../receiver.js';
import { until } from '../until.js';
import { Stage } from './stage.js';

interface Delivery {
  status: string;
  attempts: number;
}

let stage: Stage;
let receiver: Receiver;

beforeAll(async () => {
  stage = await Stage.set({ OUTBOUND_ALLOWED_NETWORKS: '127.0.0.1' });
  // Events go to the webhooks of whoever holds the account.
  const process = await stage.start();
  const claim = { tenantId: 'default' };
  const { status } = await process.api('POST', `/accounts/${SERVICE_ACCOUNT}/claim`, claim);
  if (status !== 200) throw new Error(`The account was not claimed: ${status}`);
  await process.program.stop();
}, 60_000);
beforeEach(async () => {
  receiver = await Receiver.start();
});
afterEach(() => receiver.stop());
afterAll(() => stage.clear());

describe('a process that dies while it sends an event', () => {
  it.each([
    ['that is lined up', 'webhook.lined_up', 1],
    ['that the receiver has just taken', 'webhook.answered', 2],
  ])(
    '%s loses none, and says it again under the same id at most',
    async (_case, crashAt, times) => {
      const doomed = await stage.start({ env: { CRASH_AT: crashAt } });
      const made = await doomed.api<{ id: string }>('POST', '/webhooks', {
        url: receiver.url,
        eventTypes: ['quota.reset'],
      });
      const reset = await doomed.api('POST', `/accounts/${SERVICE_ACCOUNT}/quota-resets`);
      expect(reset.status).toBe(201);
      await doomed.program.exited;

      const heir = await stage.start();
      const deliveries = async (): Promise<Delivery[]> =>
        (await heir.api<{ items: Delivery[] }>('GET', `/webhooks/${made.body.id}/deliveries`)).body
          .items;
      await until(async () => (await deliveries()).some(({ status }) => status === 'succeeded'));
      expect(await deliveries()).toMatchObject([{ status: 'succeeded', attempts: 1 }]);
      expect(receiver.received).toHaveLength(times);
      const [first] = receiver.received;
      expect(first?.event).toMatchObject({ type: 'quota.reset', sequence: 1 });
      expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
      expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
      await heir.api('DELETE', `/webhooks/${made.body.id}`);
      await heir.program.stop();
    },
    60_000,
  );
});
