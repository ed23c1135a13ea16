import { Injectable, type LoggerService, Optional } from '@nestjs/common';
import { type DestinationStream, pino, type Logger as Pino, type LoggerOptions } from 'pino';

import { Env } from '../../config/env.js';
import { errorCode } from './error-code.js';
import { currentRequest } from './request-context.js';
import { standardOutput } from './standard-output.js';

/**
 * Structured logs: one JSON object a line on standard output, with the request's id where there is one.
 *
 * Callers hand over an event name and plain fields; what goes in must be fit to be read by anybody.
 */
@Injectable()
export class Logger implements LoggerService {
  private readonly pino: Pino;

  /** @param destination standard output, unless somebody wants to read along */
  constructor(env: Env, @Optional() destination: DestinationStream = standardOutput()) {
    const options: LoggerOptions = {
      level: env.logLevel,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      // A fresh object each time: pino writes the line's own fields into it.
      mixin: () => {
        const requestId = currentRequest()?.requestId;
        return requestId === undefined ? {} : { requestId };
      },
    };
    this.pino = pino(options, destination);
  }

  info(event: string, fields: object = {}): void {
    this.pino.info(fields, event);
  }

  warn(event: string, fields?: object | string): void {
    this.pino.warn(asFields(fields), event);
  }

  error(event: string, fields?: object | string, ...rest: unknown[]): void {
    this.pino.error({ ...asFields(fields), ...(rest.length > 0 && { nest: rest }) }, event);
  }

  debug(event: string, fields?: object | string): void {
    this.pino.debug(asFields(fields), event);
  }

  /** Nest's own messages: of interest only while somebody looks for a fault. */
  log(message: string, ...rest: unknown[]): void {
    this.pino.debug({ nest: rest }, message);
  }

  verbose(message: string, ...rest: unknown[]): void {
    this.pino.trace({ nest: rest }, message);
  }
}

function asFields(fields: object | string | undefined): object {
  return typeof fields === 'string' ? { context: fields } : (fields ?? {});
}

/**
 * An error as log fields: name, message, stack and safe code; never the objects that hang on it,
 * since drivers put statements and parameters there.
 */
export function errorFields(error: unknown): { error: Record<string, unknown> } {
  if (!(error instanceof Error)) return { error: { name: typeof error } };
  const code = errorCode(error) ?? undefined;
  return { error: { name: error.name, message: error.message, code, stack: error.stack } };
}
