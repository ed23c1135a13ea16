import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  RawRequestDefaultExpression,
} from 'fastify';
import helmet from 'helmet';

import { Env } from '../config/env.js';
import { accessHook } from './access/access.hook.js';
import { AccessService } from './access/access.service.js';
import { setUpApiDocs } from './api-docs.setup.js';
import { setUpClosing } from './closing.setup.js';
import { AppError, type ProblemCode } from './common/app-error.js';
import { Drain } from './common/drain.js';
import { readForm } from './common/form-data.js';
import { Logger } from './common/logger.js';
import { Metrics } from './common/metrics.js';
import { ProblemFilter } from './common/problem.filter.js';
import { ProcessRole } from './common/process-role.js';
import { enterRequest, leaveRequest, resumeRequest } from './common/request-context.js';
import { UnreadableBody } from './common/unreadable-body.js';
import { ApiValidationPipe } from './common/validation.pipe.js';
import { addIdempotencyHooks } from './idempotency/idempotency.hooks.js';
import { Idempotency } from './idempotency/idempotency.service.js';
import { setUpSlowUploads } from './slow-uploads.setup.js';

const BODY_LIMIT_BYTES = 256 * 1024;
/** A request that has not arrived whole by then is dropped: slow senders must not hold sockets. Files get longer. */
const REQUEST_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 5_000;
/** How often late requests are looked for: Node's own 30 s would let them stay far beyond their limit. */
const CHECK_TIMEOUTS_MS = 1_000;
/** More than any load that one process can answer; what is beyond is refused before it costs anything. */
const MAX_CONNECTIONS = 10_000;
const REQUEST_ID = /^[\w.-]{1,128}$/;
/** No address is longer, by the server's own limit: Fastify refuses a part of one in words of its own, before any hook. */
const MAX_PARAM_LENGTH = 16 * 1024;

/** The HTTP server that every process and every test uses. */
export function createAdapter(env: Env): FastifyAdapter {
  return new FastifyAdapter({
    bodyLimit: BODY_LIMIT_BYTES,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    rewriteUrl: readableUrl,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_TIMEOUTS_MS,
    },
    trustProxy: env.trustedProxies.length > 0 ? env.trustedProxies : false,
    genReqId: ({ headers }: RawRequestDefaultExpression) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    },
    // What comes in over a connection that is still open is answered: see `Drain`.
    return503OnClosing: false,
  });
}

/**
 * An address that cannot be decoded stands for its very letters, and so leads nowhere like any other that does: Fastify
 * would refuse it in words of its own, before any hook.
 */
function readableUrl({ url = '/' }: RawRequestDefaultExpression): string {
  if (!url.includes('%')) return url;
  const [path = ''] = url.split('?', 1);
  if (isDecodable(path)) return url;
  return path.replaceAll('%', '%25') + url.slice(path.length);
}

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

/** What main.ts and the tests share: headers, bodies, authentication, validation, errors, documentation. */
export async function setUpApp(app: NestFastifyApplication): Promise<void> {
  const logger = app.get(Logger);
  const fastify: FastifyInstance = app.getHttpAdapter().getInstance();
  fastify.server.maxConnections = MAX_CONNECTIONS;
  if (app.get(ProcessRole).name === 'worker') serveOnly(fastify, WORKER_SERVES);
  setUpEnds(fastify, logger, app.get(Metrics));
  setUpRequests(fastify, app);
  setUpSlowUploads(fastify);
  setUpClosing(fastify);
  setUpAnswers(fastify, app.get(Drain));
  setUpBodies(fastify);
  addIdempotencyHooks(fastify, app.get(Idempotency), logger);
  app.useGlobalPipes(new ApiValidationPipe());
  app.useGlobalFilters(new ProblemFilter(logger));
  setUpApiDocs(app);
}

/** A worker answers its supervisor and nobody else. */
const WORKER_SERVES = ['/health/live', '/health/ready', '/metrics'];

function serveOnly(fastify: FastifyInstance, routes: readonly string[]): void {
  fastify.addHook('onRequest', (request, _reply, done) => {
    const isServed = routes.includes(request.routeOptions.url ?? '');
    done(isServed ? undefined : new AppError('not_found'));
  });
}

/** What a browser must be told of our pages says nothing to WeChat's servers, and costs each push a dozen headers. */
function browserHeaders({ publicUrl }: Env): ReturnType<typeof helmet> {
  const isHttps = publicUrl.startsWith('https:');
  return helmet({
    // WeChat's scan page checks which domain the visitor comes from: helmet's own no-referrer hides it.
    referrerPolicy: { policy: 'strict-origin-when-cross-origin' },
    hsts: isHttps,
    crossOriginEmbedderPolicy: false,
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        // Avatars come from WeChat's servers, over http as well.
        imgSrc: ["'self'", 'data:', 'https:', 'http:'],
        fontSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        ...(isHttps && { upgradeInsecureRequests: [] }),
      },
    },
  });
}

/**
 * The one way in: the request's id, its context, what a browser must be told, and who is calling, before any body is
 * read. A push takes only the id: it has a signature of its own, and comes by the thousand.
 */
function setUpRequests(fastify: FastifyInstance, app: NestFastifyApplication): void {
  const setHeaders = browserHeaders(app.get(Env));
  const authenticate = accessHook(app.get(AccessService));
  fastify.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', request.id);
    if (isPush(request)) {
      // Fastify refuses a Content-Type that it cannot read before any parser sees it; a forwarder may send one.
      request.headers['content-type'] = 'application/octet-stream';
      return done();
    }
    // Not by Fastify's onResponse, which whoever leaves before the answer never comes to.
    reply.raw.once('close', leaveRequest);
    return enterRequest({ requestId: request.id, ip: request.ip }, () =>
      setHeaders(request.raw, reply.raw, () => authenticate(request, reply, done)),
    );
  });
  // Reading a body leaves the context behind.
  fastify.addHook('preValidation', (request, _reply, done) => {
    if (isPush(request)) done();
    else resumeRequest({ requestId: request.id, ip: request.ip }, done);
  });
}

function setUpAnswers(fastify: FastifyInstance, drain: Drain): void {
  fastify.addHook('onSend', (request, reply, payload, done) => {
    // Once the end is near, every answer asks its sender to come back over a new connection.
    if (drain.hasBegun) void reply.header('connection', 'close');
    if (request.url.startsWith('/docs')) allowOwnStyles(reply);
    done(null, payload);
  });
}

/** Swagger UI writes its style into its page; ours do not, and allow nothing of the kind. */
function allowOwnStyles(reply: FastifyReply): void {
  const policy = reply.getHeader('content-security-policy');
  if (typeof policy !== 'string') return;
  void reply.header(
    'content-security-policy',
    policy.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'"),
  );
}

/** As nginx calls it: whoever asked has left before the answer. */
const LEFT = 499;

/** One line for each request when it is done. */
function setUpEnds(fastify: FastifyInstance, logger: Logger, metrics: Metrics): void {
  const end = (request: FastifyRequest, reply: FastifyReply, status: number): void => {
    const { method } = request;
    // The pattern, never the address: that carries states, codes and signatures.
    const route = request.routeOptions.url ?? 'unknown';
    metrics.httpSeconds.observe({ method, route, status }, reply.elapsedTime / 1000);
    // Good pushes stand in the ledger and in the counters.
    if (isPush(request) && status === 200) return;
    logger.info('request', {
      requestId: request.id,
      method,
      route,
      status,
      durationMs: Math.round(reply.elapsedTime),
      ip: request.ip,
      ...(request.caller && { key: request.caller.name, tenant: request.caller.tenantId }),
    });
  };
  fastify.addHook('onRequest', (request, reply, done) => {
    const { raw } = reply;
    raw.once('close', () => {
      if (!raw.writableFinished) end(request, reply, LEFT);
    });
    done();
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    end(request, reply, reply.statusCode);
    done();
  });
}

/**
 * Raw bytes for the push doors whatever their Content-Type, forms where a route takes a file, JSON for everything else.
 * What cannot be read is refused where it is wanted: only then it is known whether what is asked for is there.
 */
function setUpBodies(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (isPush(request)) return done(null, body);
    if (request.is404 || body.length === 0) return done(null, undefined);
    if (!isJson(request)) return done(null, unreadable('unsupported_media_type'));
    try {
      return done(null, parseJson(new TextDecoder('utf-8', { fatal: true }).decode(body)));
    } catch {
      return done(null, unreadable('malformed_body'));
    }
  });
  fastify.addContentTypeParser(
    'multipart/form-data',
    (request: FastifyRequest, payload: IncomingMessage, done: BodyDone) => {
      const { maxFileBytes } = request.routeOptions.config;
      if (request.is404) return done(null, undefined);
      if (maxFileBytes === undefined) return done(null, unreadable('unsupported_media_type'));
      const contentType = request.headers['content-type'] ?? '';
      readForm(payload, contentType, maxFileBytes).then(
        (body) => done(null, body),
        (error: unknown) =>
          error instanceof AppError ? done(null, new UnreadableBody(error)) : done(error as Error),
      );
    },
  );
}

function unreadable(code: ProblemCode): UnreadableBody {
  return new UnreadableBody(new AppError(code));
}

type BodyDone = (error: Error | null, body?: unknown) => void;

/** No body of the API is nested deeper than a few levels; one that is wears out whoever walks through it. */
const MAX_JSON_DEPTH = 64;

/** @throws SyntaxError for what is no JSON, or nested too deep */
function parseJson(text: string): unknown {
  let depth = 0;
  for (const [token] of text.matchAll(/[[\]{}]|"(?:[^"\\]|\\.)*"/gs)) {
    if (token === '[' || token === '{') depth += 1;
    else if (token === ']' || token === '}') depth -= 1;
    if (depth > MAX_JSON_DEPTH) throw new SyntaxError('too deep');
  }
  return JSON.parse(text);
}

function isPush(request: FastifyRequest): boolean {
  return request.routeOptions.config.rawBody === true;
}

function isJson(request: FastifyRequest): boolean {
  return /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(request.headers['content-type'] ?? '');
}
