import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';

import { readEnv } from '../config/env.js';
import { AppModule } from './app.module.js';
import { createAdapter, setUpApp } from './app.setup.js';
import { Logger } from './common/logger.js';
import { runOrExplain } from './common/run-or-explain.js';

await runOrExplain(async () => {
  const env = readEnv();
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.forRoot(env),
    createAdapter(env),
    { logger: new Logger(env), bodyParser: false, abortOnError: false },
  );
  await setUpApp(app);
  app.enableShutdownHooks([], { useProcessExit: true });
  await app.listen(env.port, env.host);
  app.get(Logger).info('started', { publicUrl: env.publicUrl, docs: `${env.publicUrl}/docs` });
});
