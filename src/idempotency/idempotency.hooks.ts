import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

import { AppError, type ProblemCode } from '../common/app-error.js';
import { errorFields, type Logger } from '../common/logger.js';
import type { Idempotency, KeptAnswer, RunningRequest } from './idempotency.service.js';

/** Every POST below it takes a key, unless its route says otherwise. */
const KEYED = '/api/v1/';
/** Whatever is nothing of the kind names no account. */
const APPID = /^\w{1,32}$/;
const KEY = /^[\x20-\x7e]{1,255}$/;
const RETRY_SECONDS = '1';
/** What a replayed answer repeats beside status and body. */
const KEPT_HEADERS = ['content-type', 'content-language', 'vary', 'location'];
/** Nothing was done when a request ends so: it may be put right and sent again with the same key. */
const REFUSALS: ReadonlySet<ProblemCode> = new Set([
  'malformed_body',
  'malformed_form',
  'unsupported_media_type',
  'invalid_query',
  'invalid_header',
  'validation_failed',
  'media_too_large',
  // Of an account that is gone nothing is kept, not even by a request that came too late.
  'not_found',
]);
const FORBIDDEN = [401, 403];

/** Answers a POST with an `Idempotency-Key` once, and its repetitions by what it was answered. Once for all routes. */
export function addIdempotencyHooks(
  fastify: FastifyInstance,
  idempotency: Idempotency,
  logger: Logger,
): void {
  const running = new WeakMap<FastifyRequest, RunningRequest>();

  // The caller is known and the body parsed; neither has been looked at by the route.
  // Most requests carry no key: they pass without a promise.
  fastify.addHook('preHandler', (request, reply, done) => {
    if (!isKeyed(request)) return done();
    beginOrReplay(request, reply).then((isAnswered) => {
      if (!isAnswered) done();
    }, done);
  });

  // Before it is sent: whoever has seen the answer finds it kept.
  fastify.addHook('onSend', (request, reply, payload, done) => {
    const mine = running.get(request);
    if (!mine) return done(null, payload);
    running.delete(request);
    void keepAnswer(mine, request, reply, payload).finally(() => done(null, payload));
  });

  /** @returns whether the answer of the first request has been given again */
  async function beginOrReplay(request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
    const begun = await begin(idempotency, request, reply);
    if ('held' in begun) {
      running.set(request, begun);
      return false;
    }
    void reply
      .status(begun.status)
      .headers(begun.headers)
      .header('idempotency-replayed', 'true')
      .send(begun.body ?? undefined);
    return true;
  }

  /** Never rejects: what was done is done, and its caller is told so. */
  async function keepAnswer(
    mine: RunningRequest,
    request: FastifyRequest,
    reply: FastifyReply,
    payload: unknown,
  ): Promise<void> {
    try {
      const answer = isRefusal(request, reply) ? null : readAnswer(request, reply, payload);
      await (answer ? idempotency.keep(mine, answer) : idempotency.release(mine));
    } catch (error) {
      // The lease runs out.
      logger.error('idempotency.not_kept', errorFields(error));
    } finally {
      mine.stopRenewing();
    }
  }
}

function isKeyed({ method, routeOptions, headers, is404 }: FastifyRequest): boolean {
  return (
    method === 'POST' &&
    !is404 &&
    routeOptions.url?.startsWith(KEYED) === true &&
    routeOptions.config.idempotency !== false &&
    headers['idempotency-key'] !== undefined
  );
}

async function begin(
  idempotency: Idempotency,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<RunningRequest | KeptAnswer> {
  const key = request.headers['idempotency-key'];
  const { caller } = request;
  if (!caller) throw new TypeError('Only routes that know their caller take an Idempotency-Key.');
  if (typeof key !== 'string' || !KEY.test(key)) throw new AppError('invalid_header');
  const { tenantId, allTenants } = caller;
  try {
    return await idempotency.begin({
      tenantId,
      key,
      appid: readAppid(request),
      asked: describe(request, allTenants),
    });
  } catch (error) {
    const isRunning = error instanceof AppError && error.code === 'idempotency_key_in_progress';
    if (isRunning) void reply.header('retry-after', RETRY_SECONDS);
    throw error;
  }
}

/** The account that the address names: nobody has looked yet whether there is one. */
function readAppid({ params }: FastifyRequest): string | null {
  const { appid } = params as { appid?: string };
  return appid !== undefined && APPID.test(appid) ? appid : null;
}

/**
 * What the route will see, as one text: an owner without a tenant may be answered more than one that names it.
 *
 * The parsed body with its fields in order, not its bytes: a client that was
 * restarted writes the same request again, but not always in the same order or spacing.
 */
function describe({ method, url, body }: FastifyRequest, allTenants: boolean): string {
  return JSON.stringify([method, url, allTenants, body ?? null], sortFields);
}

function sortFields(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function isRefusal({ problemCode }: FastifyRequest, { statusCode }: FastifyReply): boolean {
  return FORBIDDEN.includes(statusCode) || (!!problemCode && REFUSALS.has(problemCode));
}

/** @throws TypeError for an answer that is no text: its route must be `WithoutIdempotency` */
function readAnswer(
  { routeOptions }: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): KeptAnswer {
  const headers = KEPT_HEADERS.flatMap((name) => {
    const value = reply.getHeader(name);
    return value === undefined ? [] : [[name, String(value)] as const];
  });
  return {
    status: reply.statusCode,
    headers: Object.fromEntries(headers),
    body: withoutSecrets(readText(payload), routeOptions.config.secretFields ?? []),
  };
}

function readText(payload: unknown): string | null {
  if (payload === undefined || payload === null || payload === '') return null;
  if (typeof payload === 'string') return payload;
  if (Buffer.isBuffer(payload)) return payload.toString('utf8');
  throw new TypeError('A stream cannot be kept.');
}

/** Takes out what is shown once and says so; an answer that held nothing of the kind stays as it is. */
function withoutSecrets(body: string | null, secretFields: readonly string[]): string | null {
  if (body === null || secretFields.length === 0) return body;
  let isChanged = false;
  const rest: unknown = JSON.parse(body, (name, value: unknown) => {
    if (!secretFields.includes(name)) return value;
    isChanged = true;
    return undefined;
  });
  return isChanged ? JSON.stringify({ ...Object(rest), replayed: true }) : body;
}
