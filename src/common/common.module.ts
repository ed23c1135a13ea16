import { SafeFetch } from '@app/safe-fetch';
import { WechatHttp } from '@app/wechat';
import {
  type DynamicModule,
  Global,
  Injectable,
  Module,
  type OnApplicationShutdown,
} from '@nestjs/common';

import { Env } from '../../config/env.js';
import { Clock } from './clock.js';
import { Drain } from './drain.js';
import { Logger } from './logger.js';
import { Metrics } from './metrics.js';
import { ProcessRole } from './process-role.js';

@Injectable()
class WechatShutdown implements OnApplicationShutdown {
  constructor(private readonly wechat: WechatHttp) {}

  onApplicationShutdown(): Promise<void> {
    return this.wechat.close();
  }
}

/** As many calls at once: at WeChat's usual 50 ms, 5,000 a second. */
const WECHAT_CONNECTIONS = 256;

/** What every room may use: the configuration, time, logs, and the lines to WeChat and to customers' servers. */
@Global()
@Module({})
export class CommonModule {
  static forRoot(env: Env, role: ProcessRole): DynamicModule {
    return {
      module: CommonModule,
      providers: [
        { provide: Env, useValue: env },
        { provide: ProcessRole, useValue: role },
        Clock,
        Drain,
        Logger,
        Metrics,
        {
          provide: WechatHttp,
          inject: [Env, Logger, Metrics],
          useFactory: ({ wechatApiBaseUrl }: Env, logger: Logger, metrics: Metrics) =>
            new WechatHttp({
              connections: WECHAT_CONNECTIONS,
              baseUrl: wechatApiBaseUrl,
              onCall: (call) => {
                logger.info('wechat.called', call);
                metrics.countCall(call);
              },
            }),
        },
        WechatShutdown,
        {
          provide: SafeFetch,
          inject: [Env],
          useFactory: ({ outboundAllowedNetworks }: Env) =>
            new SafeFetch({ allowedNetworks: outboundAllowedNetworks }),
        },
      ],
      exports: [Env, ProcessRole, Clock, Drain, Logger, Metrics, SafeFetch, WechatHttp],
    };
  }
}
