import type { WechatSandbox } from '@app/wechat-sandbox';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { DestinationStream } from 'pino';
import { DataSource } from 'typeorm';

/** Shorter ones are the tests' own words, and would be found where they do no harm. */
const SHORTEST = 16;

/**
 * Looks for secrets in what an app under test says: every log line, every answer, the metrics, and in the end every
 * row of its database. It goes with every app that a test starts.
 */
export class SecretWatch implements DestinationStream {
  readonly #leaks = new Set<string>();

  constructor(
    private readonly sandbox: WechatSandbox,
    private readonly own: readonly string[],
  ) {}

  /** A log line. */
  write(line: string): void {
    this.#look('a log line', line);
  }

  /** Before the app has hooks of its own. */
  follow(app: NestFastifyApplication): void {
    const fastify = app.getHttpAdapter().getInstance();
    fastify.addHook('onSend', (request, reply, payload, done) => {
      // The page that takes a person to WeChat has to carry the code that WeChat expects.
      const isPage = String(reply.getHeader('content-type')).startsWith('text/html');
      if (typeof payload === 'string')
        this.#look(`an answer of ${request.routeOptions.url}`, payload, isPage);
      done(null, payload);
    });
  }

  /** @throws Error that names where secrets were found, never themselves */
  async end(app: NestFastifyApplication, url: string): Promise<void> {
    await (await fetch(`${url}/metrics`)).arrayBuffer();
    const database = app.get(DataSource);
    for (const { tableName } of database.entityMetadatas) {
      const rows = await database.query<Record<string, unknown>[]>(`SELECT * FROM ${tableName}`);
      const values = rows.flatMap((row) => Object.values(row));
      this.#look(
        `the table ${tableName}`,
        values.map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : value)).join(),
      );
    }
    if (this.#leaks.size > 0) throw new Error(`Secrets stand in ${[...this.#leaks].join(', ')}.`);
  }

  #look(where: string, text: string, isPage = false): void {
    const { accessTokens, tickets, preAuthCodes, authorizationCodes, accounts } = this.sandbox.data;
    const handedOut = [
      accessTokens,
      tickets,
      authorizationCodes,
      ...(isPage ? [] : [preAuthCodes]),
    ];
    const secrets = [
      ...this.own,
      ...handedOut.flatMap((values) => Object.keys(values)),
      ...Object.values(accounts).flatMap(({ appSecret, authorization }) => [
        appSecret,
        ...(authorization ? [authorization.refreshToken] : []),
      ]),
      ...Object.values(accounts).flatMap(({ pushConfig }) =>
        pushConfig ? [pushConfig.token, pushConfig.encodingAesKey] : [],
      ),
    ];
    if (secrets.some((secret) => secret.length >= SHORTEST && text.includes(secret)))
      this.#leaks.add(where);
  }
}
