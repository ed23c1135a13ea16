import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';

import { readEnv } from '../config/env.js';
import { AppModule } from './app.module.js';
import { createAdapter, setUpApp } from './app.setup.js';
import { Drain } from './common/drain.js';
import { errorFields, Logger } from './common/logger.js';
import { ProcessRole } from './common/process-role.js';
import { runOrExplain } from './common/run-or-explain.js';
import { STOP_WITHIN_MS } from './common/stop.js';

/** Longer than what is under way may take to end: then something hangs, and waiting does not help. */
const GIVE_UP_AFTER_MS = STOP_WITHIN_MS + 5_000;

/** Starts a process of the service from the environment, and stops it when it is told to. */
export async function runService(role: ProcessRole): Promise<void> {
  await runOrExplain(async () => {
    const env = readEnv();
    const app = await NestFactory.create<NestFastifyApplication>(
      AppModule.forRoot(env, role),
      createAdapter(env),
      { logger: new Logger(env), bodyParser: false, abortOnError: false },
    );
    await setUpApp(app);
    await app.listen(env.port, env.host);
    stopOnSignal(app);
    app.get(Logger).info('started', {
      role: role.name,
      ...(role.name === 'main' && { publicUrl: env.publicUrl, docs: `${env.publicUrl}/docs` }),
    });
  });
}

/** On SIGTERM or Ctrl-C: tells the load balancer, then closes the door, then lets what is under way end. */
function stopOnSignal(app: NestFastifyApplication): void {
  const logger = app.get(Logger);
  const stop = async (): Promise<void> => {
    const drain = app.get(Drain);
    if (drain.hasBegun) return;
    logger.info('stopping');
    try {
      await drain.run();
      setTimeout(() => process.exit(1), GIVE_UP_AFTER_MS).unref();
      await app.close();
      process.exit(0);
    } catch (error) {
      logger.error('not_stopped_cleanly', errorFields(error));
      process.exit(1);
    }
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop());
}
