import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';

const DESCRIPTION = `
微信渠道服务：授权公众号与小程序，并以它们的名义触达用户。
The WeChat channel: authorize official accounts and mini-programs, and act in their name.

1. 点右上角 **Authorize**，填入 API 密钥（浏览器会记住）。 Press **Authorize** and enter an API key; the browser remembers it.
2. \`GET /api/v1/component\` 查看要填到微信控制台的地址。 shows the addresses to enter in WeChat's console.
3. \`POST /api/v1/authorizations\` 得到授权页地址，交给账号管理员扫码。 answers the page on which an account's administrator scans.
4. \`GET /api/v1/accounts\` 查看已授权的账号。 lists the accounts.

错误以 RFC 9457 表示，默认中文；\`Accept-Language: en\` 得到英文。
Errors follow RFC 9457, in Chinese by default and in English with \`Accept-Language: en\`.
`.trim();

/** The OpenAPI document of what the app serves. */
export function createApiDocument(app: NestFastifyApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setTitle('wechat-channel')
    .setDescription(DESCRIPTION)
    .setVersion('1')
    .addTag('第三方平台 Component')
    .addTag('授权 Authorizations')
    .addTag('账号 Accounts')
    .addTag('事件 Events')
    .addTag('密钥 API keys')
    .addTag('运维 Operations')
    .addTag('健康检查 Health')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'API 密钥 / API key' })
    .build();
  return SwaggerModule.createDocument(app, config);
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
    },
  });
}
