import { applyDecorators } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { FASTIFY_ROUTE_CONFIG_METADATA } from '@nestjs/platform-fastify/constants.js';
import { ApiConsumes, ApiExtension } from '@nestjs/swagger';
import type { FastifyContextConfig } from 'fastify';

/** In the OpenAPI document, marks an operation that takes no `Idempotency-Key`. */
export const NO_IDEMPOTENCY = 'x-no-idempotency-key';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `false`: an `Idempotency-Key` means nothing here. */
    idempotency?: boolean;
    /** Fields of the answer that are shown once, never kept and never answered again. */
    secretFields?: readonly string[];
    /** The body is a form with a file of so many bytes at the most. */
    maxFileBytes?: number;
  }
}

/** Adds to a route's configuration and leaves what other decorators have put there. */
export function ExtendRouteConfig(part: Partial<FastifyContextConfig>): MethodDecorator {
  return (target, key, descriptor) => {
    const route: unknown = descriptor.value;
    const before: unknown =
      typeof route === 'function'
        ? Reflect.getMetadata(FASTIFY_ROUTE_CONFIG_METADATA, route)
        : undefined;
    RouteConfig({ ...(before ?? {}), ...part })(target, key, descriptor);
  };
}

/** Names the fields of an answer that nobody may see twice, wherever in it they stand. */
export function ShownOnce(...fields: string[]): MethodDecorator {
  return ExtendRouteConfig({ secretFields: fields });
}

/** For streams and uploads: neither their bodies nor their answers can be kept. */
export function WithoutIdempotency(): MethodDecorator {
  return applyDecorators(
    ExtendRouteConfig({ idempotency: false }),
    ApiExtension(NO_IDEMPOTENCY, true),
  );
}

/** The body is a form with one file: it comes as a `FormBody`. No other route takes forms. */
export function TakesFile(maxFileBytes: number): MethodDecorator {
  return applyDecorators(ExtendRouteConfig({ maxFileBytes }), ApiConsumes('multipart/form-data'));
}
