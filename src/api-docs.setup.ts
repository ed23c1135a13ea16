import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';

import { NO_IDEMPOTENCY } from './common/route-config.js';
import { webhookDocs } from './events/webhooks/webhook-docs.js';

type Operation = NonNullable<OpenAPIObject['paths'][string]['post']>;
type Parameter = NonNullable<Operation['parameters']>[number];

const IDEMPOTENCY_KEY: Parameter = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    '同一租户以同一个键重发同一请求，24 小时内得到第一次的应答（带 Idempotency-Replayed: true），不会再次执行；只显示一次的密钥不在其中。第一次尚未结束时 409 `idempotency_key_in_progress`；换了方法、地址或请求体时 422 `idempotency_key_reused`；被拒绝而未执行的请求（400、401、403、404、请求体有误的 422）不占用键。' +
    ' The same request of the same tenant with the same key is answered for 24 hours as at first, with `Idempotency-Replayed: true`, and not run again; a secret that is shown once is not repeated. While the first still runs 409 `idempotency_key_in_progress`; with another method, address or body 422 `idempotency_key_reused`. What was refused before it ran (400, 401, 403, 404, 422 for the body) leaves the key free.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
};

const DESCRIPTION = `
微信渠道服务：授权公众号与小程序，并以它们的名义触达用户。
The WeChat channel: authorize official accounts and mini-programs, and act in their name.

1. 点右上角 **Authorize**，填入 API 密钥（浏览器会记住）。 Press **Authorize** and enter an API key; the browser remembers it.
2. \`GET /api/v1/component\` 查看要填到微信控制台的地址。 shows the addresses to enter in WeChat's console.
3. \`POST /api/v1/authorizations\` 得到授权页地址，交给账号管理员扫码。 answers the page on which an account's administrator scans.
4. \`GET /api/v1/accounts\` 查看已授权的账号。 lists the accounts.
5. \`PUT …/openid-property\` 选择存放 OpenID 的属性，\`POST …/enable\` 启用；未通过的检查会说明如何处理。 choose where openids are and switch the account on; a check that fails says what to do.

错误以 RFC 9457 表示，默认中文；\`Accept-Language: en\` 得到英文。
Errors follow RFC 9457, in Chinese by default and in English with \`Accept-Language: en\`.
`.trim();

/** The OpenAPI document of what the app serves. */
export function createApiDocument(app: NestFastifyApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setTitle('wechat-channel')
    .setDescription(DESCRIPTION)
    .setVersion('1')
    .setOpenAPIVersion('3.1.0')
    .addTag('第三方平台 Component')
    .addTag('授权 Authorizations')
    .addTag('账号 Accounts')
    .addTag('小程序配置 Mini-program configuration')
    .addTag('消息 Messages')
    .addTag('自动回复 Auto replies')
    .addTag('事件 Events')
    .addTag('密钥 API keys')
    .addTag('运维 Operations')
    .addTag('审计 Audit')
    .addTag('健康检查 Health')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'API 密钥 / API key' })
    .build();
  const document = SwaggerModule.createDocument(app, config);
  for (const [path, { post }] of Object.entries(document.paths)) {
    if (!post || !path.startsWith('/api/v1/') || NO_IDEMPOTENCY in post) continue;
    post.parameters = [...(post.parameters ?? []), IDEMPOTENCY_KEY];
  }
  return { ...document, webhooks: webhookDocs() };
}

/** Swagger UI at `/docs`, the document at `/docs-json`. */
export function setUpApiDocs(app: NestFastifyApplication): void {
  SwaggerModule.setup('docs', app, () => createApiDocument(app), {
    jsonDocumentUrl: 'docs-json',
    yamlDocumentUrl: 'docs-yaml',
    customSiteTitle: 'wechat-channel API',
    swaggerOptions: {
      persistAuthorization: true,
      displayRequestDuration: true,
      tryItOutEnabled: true,
      // The list of all shapes would be longer than that of the calls.
      defaultModelsExpandDepth: 0,
    },
  });
}
