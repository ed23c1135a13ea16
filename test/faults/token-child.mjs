// A process of the service, from the build, that does with tokens what it is told over IPC: see tokens.faults.mysql.
import { NestFactory } from '@nestjs/core';

import { readEnv } from '../../dist/config/env.js';
import { AppModule } from '../../dist/src/app.module.js';
import { Logger } from '../../dist/src/common/logger.js';
import { Database } from '../../dist/src/database/database.js';
import { RefreshPace } from '../../dist/src/token-refresh/refresh-pace.js';
import { TokenRefreshService } from '../../dist/src/token-refresh/token-refresh.service.js';
import { TokensService } from '../../dist/src/tokens/tokens.service.js';

const env = readEnv();
const app = await NestFactory.createApplicationContext(AppModule.forRoot(env), {
  logger: new Logger(env),
  abortOnError: false,
});
const tokens = app.get(TokensService);

const commands = {
  /** So many callers for each of the appids, all at once. */
  async get({ appids, callers }) {
    const startedAt = performance.now();
    const answers = await Promise.allSettled(
      appids.flatMap((appid) => Array.from({ length: callers }, () => tokens.getToken(appid))),
    );
    const failures = answers.flatMap(({ reason }) => (reason ? [String(reason)] : []));
    const values = new Set(answers.flatMap(({ value }) => (value ? [value] : [])));
    return { ms: performance.now() - startedAt, failures, values: [...values] };
  },
  async seed({ accounts }) {
    await app.get(Database).write(async (tx) => {
      for (const { appid, refreshToken } of accounts)
        await tokens.store(tx, appid, 'authorizer', { refreshToken });
    });
    return {};
  },
  async refreshAhead(pace) {
    Object.assign(app.get(RefreshPace), pace);
    await app.get(TokenRefreshService).refreshAhead();
    return {};
  },
};

process.on('message', ({ id, command, ...input }) => {
  void commands[command](input)
    .catch((error) => ({ failures: [String(error)] }))
    .then((answer) => process.send?.({ id, ...answer }));
});
process.once('SIGTERM', () => {
  void app.close().finally(() => process.exit());
});
process.send?.({ ready: true });
