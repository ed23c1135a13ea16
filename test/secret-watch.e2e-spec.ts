import { expect, it } from '@jest/globals';
import { Controller, Get } from '@nestjs/common';

import { RequireRole } from '../src/access/roles.js';
import { Logger } from '../src/common/logger.js';
import { ComponentTicket } from '../src/component-authorization/component-ticket.entity.js';
import { Database } from '../src/database/database.js';
import { COMPONENT, startApp } from './app.js';

@Controller('api/v1/leaky')
class LeakyController {
  constructor(private readonly logger: Logger) {}

  @Get()
  @RequireRole('owner')
  leak(): object {
    this.logger.debug('leaky', { key: COMPONENT.appSecret });
    return { key: COMPONENT.encodingAesKey };
  }
}

it('an app that lets secrets out fails its test, which says where they stand', async () => {
  const app = await startApp({ controllers: [LeakyController] });
  await app.api('GET', '/leaky');
  const [ticket = ''] = Object.keys(app.sandbox.data.tickets);
  expect(ticket.length).toBeGreaterThan(16);
  await app.app
    .get(Database)
    .write((tx) => tx.update(ComponentTicket, { appid: COMPONENT.appid }, { ticket }));
  await expect(app.stop()).rejects.toThrow(
    'Secrets stand in a log line, an answer of /api/v1/leaky, the table component_ticket.',
  );
});
