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
import { Logger } from './logger.js';

@Injectable()
class WechatShutdown implements OnApplicationShutdown {
  constructor(private readonly wechat: WechatHttp) {}

  onApplicationShutdown(): Promise<void> {
    return this.wechat.close();
  }
}

/** What every room may use: the configuration, time, logs, and the line to WeChat. */
@Global()
@Module({})
export class CommonModule {
  static forRoot(env: Env): DynamicModule {
    return {
      module: CommonModule,
      providers: [
        { provide: Env, useValue: env },
        Clock,
        Logger,
        {
          provide: WechatHttp,
          inject: [Env, Logger],
          useFactory: ({ wechatApiBaseUrl }: Env, logger: Logger) =>
            new WechatHttp({
              baseUrl: wechatApiBaseUrl,
              onCall: (call) => logger.info('wechat.called', call),
            }),
        },
        WechatShutdown,
      ],
      exports: [Env, Clock, Logger, WechatHttp],
    };
  }
}
