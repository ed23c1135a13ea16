import { STATUS_CODES } from 'node:http';

import { WechatApiError, WechatUnavailableError } from '@app/wechat';
import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpException,
  Injectable,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

import { isStorageAway } from '../database/storage-away.js';
import { AppError, type FieldError, type ProblemCode, PROBLEMS } from './app-error.js';
import { errorFields, Logger } from './logger.js';
import { inLang, type Lang, pickLang } from './text.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Why it was refused, once it was. */
    problemCode?: ProblemCode;
  }
}

/** Where a push comes in: every refusal there has an empty body. */
const PUSH_DOORS = '/wechat/';

/**
 * Turns whatever was thrown into an `application/problem+json` answer, in the caller's language.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9457.html
 */
@Catch()
@Injectable()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly logger: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const code = codeOf(error);
    const status = statusOf(error, code);
    if (status >= 500) {
      this.logger.error('request.failed', { code, ...errorFields(error) });
    }
    request.problemCode = code;
    if (reply.sent || reply.raw.headersSent) return;
    if (status === 401) void reply.header('www-authenticate', 'Bearer');
    if (error instanceof AppError && error.retryAfterSeconds !== null)
      void reply.header('retry-after', error.retryAfterSeconds);
    if (request.url.startsWith(PUSH_DOORS)) {
      void reply.status(status).send();
      return;
    }
    const lang = pickLang(request.headers['accept-language']);
    void reply
      .status(status)
      .header('content-type', 'application/problem+json; charset=utf-8')
      .header('content-language', lang)
      .header('vary', 'accept-language')
      .send(JSON.stringify(problemBody({ error, code, status, request, lang })));
  }
}

function codeOf(error: unknown): ProblemCode {
  if (error instanceof AppError) return error.code;
  if (error instanceof WechatApiError) return 'wechat_error';
  if (error instanceof WechatUnavailableError) return 'wechat_unavailable';
  if (isStorageAway(error)) return 'storage_unavailable';
  switch (httpStatusOf(error)) {
    case 400:
      return 'malformed_body';
    case 404:
    case 405:
      return 'not_found';
    case 413:
      return 'body_too_large';
    case 415:
      return 'unsupported_media_type';
    default:
      return 'internal_error';
  }
}

/** A status that the table has no code for, e.g. 431 by the HTTP server, is passed on as it is. */
function statusOf(error: unknown, code: ProblemCode): number {
  const own = httpStatusOf(error);
  return code === 'internal_error' && own !== null && own < 500 ? own : PROBLEMS[code].status;
}

function httpStatusOf(error: unknown): number | null {
  if (error instanceof HttpException) return error.getStatus();
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number') {
    return error.statusCode;
  }
  return null;
}

function problemBody(about: {
  error: unknown;
  code: ProblemCode;
  status: number;
  request: FastifyRequest;
  lang: Lang;
}): object {
  const { error, code, status, request, lang } = about;
  const problem = PROBLEMS[code];
  return {
    type: `urn:wechat-channel:problem:${code}`,
    title: status === problem.status ? inLang(problem.title, lang) : (STATUS_CODES[status] ?? ''),
    status,
    detail: inLang(problem.detail, lang),
    code,
    instance: request.url.split('?', 1)[0],
    requestId: request.id,
    ...(error instanceof AppError &&
      error.fields.length > 0 && { errors: fieldErrors(error.fields, lang) }),
    ...(error instanceof WechatApiError && { wechat: refusalOf(error, lang) }),
    ...(error instanceof AppError && error.members(lang)),
  };
}

/** What WeChat has said, and what to do about it. */
export function refusalOf(error: WechatApiError, lang: Lang): object {
  const { errcode, errmsg, rid, path, advice } = error;
  return { errcode, errmsg, rid, path, advice: inLang(advice, lang) };
}

function fieldErrors(fields: readonly FieldError[], lang: Lang): object[] {
  return fields.map(({ field, code, detail }) => ({ field, code, detail: inLang(detail, lang) }));
}
