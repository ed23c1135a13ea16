import type { OpenAPIObject } from '@nestjs/swagger';

import { EVENT_EXAMPLES } from '../event-examples.js';
import { EVENT_MEANINGS, EVENT_TYPES, EVENT_VERSIONS, type EventType } from '../event-types.js';

type Webhooks = NonNullable<OpenAPIObject['webhooks']>;
type Schema = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>[string];

interface Header {
  name: string;
  description: string;
  example: string;
}

const HEADERS: readonly Header[] = [
  {
    name: 'webhook-id',
    description:
      '事件编号，重复投递时不变，可用于去重 / The event’s id, the same at every try: drop what you have seen',
    example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001',
  },
  {
    name: 'webhook-timestamp',
    description: '本次投递的 Unix 秒 / Of this try, in seconds',
    example: '1795334400',
  },
  {
    name: 'webhook-signature',
    description:
      'Standard Webhooks 签名；轮换期内有两个，以空格分隔 / After the Standard Webhooks specification; two, with a space between them, while a secret is being changed',
    example: 'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
  },
];

/** What receivers of webhooks get, one entry for each type of event. */
export function webhookDocs(): Webhooks {
  return Object.fromEntries(
    EVENT_TYPES.map((type) => {
      const { zh, en } = EVENT_MEANINGS[type];
      const example = {
        id: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001',
        type,
        version: EVENT_VERSIONS[type],
        occurredAt: '2026-11-22T08:00:00.000Z',
        ...ownerOf(type),
        data: EVENT_EXAMPLES[type],
        sequence: 1,
      };
      return [
        type,
        {
          post: {
            tags: ['事件 Events'],
            summary: `${zh} / ${en}`,
            parameters: HEADERS.map(({ name, description, example: value }) => ({
              name,
              in: 'header' as const,
              required: true,
              description,
              schema: { type: 'string' },
              example: value,
            })),
            requestBody: {
              required: true,
              content: { 'application/json': { schema: schemaOf(example), example } },
            },
            responses: {
              '2XX': {
                description:
                  '已收下；其他应答视为失败并重试，410 停用 / Taken. Any other answer is a failure and is tried again; 410 switches the webhook off',
              },
            },
          },
        },
      ];
    }),
  );
}

/** Events of the platform itself belong to no tenant and no account. */
function ownerOf(type: EventType): { tenantId: string | null; appid: string | null } {
  const data = EVENT_EXAMPLES[type];
  return 'appid' in data
    ? { tenantId: 'default', appid: data.appid }
    : { tenantId: null, appid: null };
}

/** The form of an example: what is null in it may be something else. */
function schemaOf(value: unknown): Schema {
  if (Array.isArray(value)) return { type: 'array', items: schemaOf(value[0] ?? null) };
  if (typeof value === 'object' && value !== null)
    return {
      type: 'object',
      properties: Object.fromEntries(
        Object.entries(value).map(([name, inner]) => [name, schemaOf(inner)]),
      ),
    };
  if (typeof value === 'string' || typeof value === 'boolean') return { type: typeof value };
  return typeof value === 'number' ? { type: 'integer' } : {};
}
