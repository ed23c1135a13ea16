import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Redis } from 'ioredis';

import { Env } from '../../config/env.js';
import { errorFields, Logger } from '../common/logger.js';
import { Database } from '../database/database.js';
import { findInstallation } from '../database/installation.js';
import { TokenCache } from './token-cache.js';

/**
 * Tells the other processes over Redis that a token has changed, so that they forget theirs sooner. Nothing rests on
 * it: without Redis, or when a word is lost, they find out by themselves.
 */
@Injectable()
export class TokenAnnouncements implements OnModuleInit, OnApplicationShutdown {
  #publisher: Redis | null = null;
  #subscriber: Redis | null = null;
  #channel = '';

  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly cache: TokenCache,
    private readonly logger: Logger,
  ) {}

  async onModuleInit(): Promise<void> {
    if (!this.env.redisUrl) return;
    this.#channel = `wechat-channel:${await findInstallation(this.db)}:token-changed`;
    this.#publisher = this.#connect(this.env.redisUrl, { enableOfflineQueue: false });
    this.#subscriber = this.#connect(this.env.redisUrl, { maxRetriesPerRequest: null });
    this.#subscriber.on('message', (_channel, appid) => this.cache.forget(appid));
    this.#subscriber
      .subscribe(this.#channel)
      .catch((error: unknown) => this.logger.warn('token.not_subscribed', errorFields(error)));
  }

  /** Tells the appid and nothing else. Not waited for, and never fails. */
  announce(appid: string): void {
    this.#publisher
      ?.publish(this.#channel, appid)
      .catch(() => this.logger.debug('token.not_announced', { appid }));
  }

  onApplicationShutdown(): void {
    this.#publisher?.disconnect();
    this.#subscriber?.disconnect();
  }

  #connect(url: string, options: object): Redis {
    // The transport of work tells the operator that Redis is away; here it only costs a little time.
    return new Redis(url, options).on('error', () => undefined);
  }
}
