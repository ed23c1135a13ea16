// A process of the service, from the build, without its doors. Argument: folder of the build.
import { NestFactory } from '@nestjs/core';

import { fromBuild } from './shared.mjs';
import { askAtOnce, measureCallers, serve } from './tokens-shared.mjs';

const [, , build] = process.argv;
const { readEnv } = await fromBuild(build, 'config/env.js');
const { AppModule } = await fromBuild(build, 'src/app.module.js');
const { Logger } = await fromBuild(build, 'src/common/logger.js');
const { Database } = await fromBuild(build, 'src/database/database.js');
const { TokenCache } = await fromBuild(build, 'src/tokens/token-cache.js');
const { TokensService } = await fromBuild(build, 'src/tokens/tokens.service.js');

const env = readEnv();
const app = await NestFactory.createApplicationContext(AppModule.forRoot(env), {
  logger: new Logger(env),
  abortOnError: false,
});
const tokens = app.get(TokensService);
const cache = app.get(TokenCache);

serve({
  async seed({ accounts }) {
    await app.get(Database).write(async (tx) => {
      for (const { appid, kind, ...issued } of accounts)
        await tokens.store(tx, appid, kind, issued);
    });
    return {};
  },

  /** A token that is in memory, one call after the other. */
  async hit({ appid, calls }) {
    cache.forget(appid);
    await tokens.getToken(appid);
    const startedAt = performance.now();
    for (let n = 0; n < calls; n += 1) await tokens.getToken(appid);
    return { nanoseconds: ((performance.now() - startedAt) * 1e6) / calls };
  },

  /** Tokens that are in the database only. */
  miss({ seconds }) {
    return measureCallers((appid) => {
      cache.forget(appid);
      return tokens.getToken(appid);
    }, seconds);
  },

  crowd({ appid, callers }) {
    cache.forget(appid);
    return askAtOnce(() => tokens.getToken(appid), callers);
  },
});
