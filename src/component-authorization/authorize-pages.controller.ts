import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';

import { Env } from '../../config/env.js';
import { AppError } from '../common/app-error.js';
import { inLang, type Lang, LANGS, pickLang } from '../common/text.js';
import { missingPermissions, toPermissionRefs } from '../accounts/permissions.js';
import { AccountPictures } from '../accounts/pictures/account-pictures.service.js';
import { AuthorizationCompletion } from './authorization-completion.js';
import { type AuthorizationView, AuthorizationsService } from './authorizations.service.js';
import { failureText } from './failures.js';
import { assets } from './pages/assets.js';
import { renderCallbackPage } from './pages/callback-page.js';
import { type PageAccount, renderLaunchPage } from './pages/launch-page.js';
import { renderMessagePage } from './pages/message-page.js';
import { REFUSALS, TRY_AGAIN, UNKNOWN_LINK } from './pages/texts.js';

const HTML = 'text/html; charset=utf-8';

/** The pages that an account's administrator sees. Whoever has an address of theirs may look at it. */
@ApiExcludeController()
@Controller('authorize')
export class AuthorizePagesController {
  constructor(
    private readonly env: Env,
    private readonly authorizations: AuthorizationsService,
    private readonly completion: AuthorizationCompletion,
    private readonly pictures: AccountPictures,
  ) {}

  @Get('assets/:name')
  asset(@Param('name') name: string, @Res() reply: FastifyReply): FastifyReply {
    const asset = assets.get(name);
    if (!asset) throw new AppError('not_found');
    return reply
      .header('content-type', asset.contentType)
      .header('cache-control', 'public, max-age=300')
      .send(asset.body);
  }

  /** Where WeChat sends the browser back to. */
  @Get('callback/:state')
  async callback(
    @Param('state') state: string,
    @Query() query: Record<string, unknown>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<FastifyReply> {
    const lang = langOf(request, query);
    const code = typeof query['auth_code'] === 'string' ? query['auth_code'] : undefined;
    const outcome = await this.completion.completeByRedirect(state, code);
    if (outcome.kind === 'refused') {
      const { status, title, detail } = REFUSALS[outcome.reason];
      return page(reply, status, lang, renderMessagePage({ lang, title, detail }));
    }
    const { view } = outcome;
    const isOpen = outcome.kind === 'try_again';
    const html = renderCallbackPage({
      lang,
      status: isOpen ? 'pending' : view.status === 'completed' ? 'completed' : 'failed',
      account: await this.#pageAccount(view),
      failure: isOpen
        ? { code: 'try_again', text: inLang(TRY_AGAIN, lang) }
        : pageFailure(view, lang),
      selfUrl: request.url,
      alternateUrl: otherLanguage(request.url, lang),
    });
    return page(reply, isOpen ? 503 : 200, lang, html);
  }

  @Get(':id/state')
  async state(
    @Param('id') id: string,
    @Query() query: Record<string, unknown>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<FastifyReply> {
    const view = await this.authorizations.find(id);
    if (!view) throw new AppError('not_found');
    return reply.header('cache-control', 'no-store').send({
      status: view.status,
      account: await this.#pageAccount(view),
      failure: pageFailure(view, langOf(request, query)),
      expiresAt: view.authorization.expiresAt,
    });
  }

  /** The launch page: WeChat's scan page must be reached by a link that stands on our own domain. */
  @Get(':id')
  async launch(
    @Param('id') id: string,
    @Query() query: Record<string, unknown>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<FastifyReply> {
    const lang = langOf(request, query);
    const view = await this.authorizations.find(id);
    if (!view) {
      return page(reply, 404, lang, renderMessagePage({ lang, ...UNKNOWN_LINK }));
    }
    const { authorization, status } = view;
    const selfUrl = `/authorize/${authorization.id}`;
    const html = await renderLaunchPage({
      lang,
      form: query['form'] === 'phone' ? 'phone' : 'desktop',
      selfUrl,
      mobileUrl: `${this.env.publicUrl}${selfUrl}?form=phone`,
      accountType: authorization.accountType,
      onlyAppid: authorization.onlyAppid,
      onlyPermissionIds: authorization.onlyPermissionIds,
      onlyNickname: await this.authorizations.findOnlyNickname(authorization),
      ...this.authorizations.scanPages(authorization),
      expiresAt: authorization.expiresAt,
      status,
      account: await this.#pageAccount(view),
      failure: pageFailure(view, lang),
    });
    return page(reply, 200, lang, html);
  }

  async #pageAccount({ account, authorization }: AuthorizationView): Promise<PageAccount | null> {
    if (!account) return null;
    const { appid, nickname, accountType } = account;
    const { gainedPermissionIds: gained, lostPermissionIds: lost } = authorization;
    const urls = await this.pictures.findUrls([account]);
    return {
      appid,
      nickname,
      avatarUrl: urls.get(appid)?.avatar ?? '',
      accountType,
      missingPermissions: missingPermissions(account),
      permissionChange: gained &&
        lost && { gained: toPermissionRefs(gained), lost: toPermissionRefs(lost) },
    };
  }
}

function langOf(request: FastifyRequest, query: Record<string, unknown>): Lang {
  return (
    LANGS.find((lang) => lang === query['lang']) ?? pickLang(request.headers['accept-language'])
  );
}

function otherLanguage(url: string, lang: Lang): string {
  const other = new URL(url, 'http://self');
  other.searchParams.set('lang', lang === 'en' ? 'zh-CN' : 'en');
  return other.pathname + other.search;
}

function pageFailure(
  { failure }: AuthorizationView,
  lang: Lang,
): { code: string; text: string } | null {
  return (
    failure && {
      code: failure.code,
      text: inLang(failureText(failure.code, failure.errcode), lang),
    }
  );
}

/** Never kept by a cache or shown to another site: the addresses are what opens these pages. */
function page(reply: FastifyReply, status: number, lang: Lang, html: string): FastifyReply {
  return reply
    .status(status)
    .header('content-type', HTML)
    .header('content-language', lang)
    .header('vary', 'accept-language')
    .header('cache-control', 'no-store')
    .header('x-robots-tag', 'noindex')
    .send(html);
}
