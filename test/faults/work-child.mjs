// A worker as a process of its own, from the build, with a kind of work that leaves a trace: see
// work-processes.redis.e2e-spec.ts. Stops at SIGTERM as the service does, but without the time that load balancers get.
import { setTimeout as pause } from 'node:timers/promises';

import { NestFactory } from '@nestjs/core';

import { readEnv } from '../../dist/config/env.js';
import { AppModule } from '../../dist/src/app.module.js';
import { createAdapter, setUpApp } from '../../dist/src/app.setup.js';
import { Logger } from '../../dist/src/common/logger.js';
import { ProcessRole } from '../../dist/src/common/process-role.js';
import { Database } from '../../dist/src/database/database.js';
import { WorkQueue } from '../../dist/src/queue/work-queue.js';

const LONGEST_PAUSE_MS = 100;

class Kinds {}

const kinds = {
  provide: Kinds,
  inject: [WorkQueue, Database],
  useFactory: (queue, db) => {
    queue.register('test-effect', async ({ n }, { attempts, finish }) => {
      await pause(Math.random() * LONGEST_PAUSE_MS);
      await db.write(async (tx) => {
        await finish(tx);
        await tx.query('INSERT INTO test_effect (n, attempts, pid) VALUES (?, ?, ?)', [
          n,
          attempts,
          process.pid,
        ]);
      });
    });
    return new Kinds();
  },
};

const env = readEnv();
const app = await NestFactory.create(
  {
    module: class Root {},
    imports: [AppModule.forRoot(env, new ProcessRole('worker'))],
    providers: [kinds],
  },
  createAdapter(env),
  { logger: new Logger(env), bodyParser: false, abortOnError: false },
);
await setUpApp(app);
process.once('SIGTERM', () => {
  app.close().then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
await app.listen(env.port, env.host);
