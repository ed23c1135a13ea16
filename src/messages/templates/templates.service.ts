import { Injectable, type OnModuleInit } from '@nestjs/common';

import type { Caller } from '../../access/roles.js';
import type { Account } from '../../accounts/account.entity.js';
import { AccountsService } from '../../accounts/accounts.service.js';
import { AppError } from '../../common/app-error.js';
import { Clock } from '../../common/clock.js';
import { errorFields, Logger } from '../../common/logger.js';
import { AccountData } from '../../database/account-data.js';
import { Database, type Tx } from '../../database/database.js';
import { SharedMutex } from '../../queue/shared-mutex.js';
import { PeopleService } from '../people/people.service.js';
import type { Template, TemplateKind, TemplateList } from './template-list.entity.js';
import { TemplateListsRepository } from './template-lists.repository.js';
import { isPassing, TemplateReader } from './template-reader.js';

const FRESH_MS = 3_600_000;
const ASKED_EVERY_MS = 60_000;

const KIND_OF = {
  official_account: 'template_message',
  mini_program: 'subscription_message',
} as const satisfies Record<Account['accountType'], TemplateKind>;

/** The templates of an account, and when WeChat said so. */
export interface ReadTemplates {
  items: Template[];
  readAt: Date;
}

/** A list, and why it could not be read again. */
interface Look {
  list: TemplateList | null;
  failure: unknown;
}

/**
 * The templates that accounts have chosen at WeChat, kept with us: WeChat allows few calls a day.
 *
 * It is asked once a minute at the most for an account, by whatever process, and whatever came of it.
 */
@Injectable()
export class TemplatesService implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly lists: TemplateListsRepository,
    private readonly reader: TemplateReader,
    private readonly people: PeopleService,
    private readonly accounts: AccountsService,
    private readonly turns: SharedMutex,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.accountData.register({
      table: 'template_list',
      erase: (tx, appid) => this.lists.eraseAccount(tx, appid),
    });
  }

  /**
   * The account's templates, read again after an hour. While WeChat is away, or allows no more calls, those that were
   * read last.
   *
   * @param kind null takes the one that the account has
   * @param isForced reads them again, unless WeChat was asked within a minute
   * @throws AppError `not_found`, `kind_not_supported`, `templates_unavailable`
   * @throws WechatApiError, WechatUnavailableError when WeChat does not say it, and has not said it before
   */
  async list(
    caller: Caller,
    appid: string,
    kind: TemplateKind | null,
    isForced: boolean,
  ): Promise<ReadTemplates> {
    const account = await this.accounts.get(caller, appid);
    const { list, failure } = await this.#look(
      account,
      kind ?? KIND_OF[account.accountType],
      ({ readAt }) => !isForced && readAt !== null && this.#ageOf(readAt) < FRESH_MS,
    );
    if (list?.templates && list.readAt) return { items: list.templates, readAt: list.readAt };
    throw failure ?? this.#unavailable(list);
  }

  /**
   * A template of the account, from what is kept. WeChat is asked, once a minute at the most, when it is not there.
   *
   * @returns null when the account does not have it
   * @throws AppError `kind_not_supported`, `templates_unavailable`
   * @throws WechatApiError, WechatUnavailableError when it is not kept, and WeChat does not say whether there is one
   */
  async find(account: Account, kind: TemplateKind, templateId: string): Promise<Template | null> {
    const findIn = (list: TemplateList | null): Template | undefined =>
      list?.templates?.find((template) => template.templateId === templateId);
    const { list, failure } = await this.#look(account, kind, (kept) => !!findIn(kept));
    const found = findIn(list);
    if (found) return found;
    if (failure) throw failure;
    if (!list || !isAnswered(list)) throw this.#unavailable(list);
    return null;
  }

  /** The long-term ones among the accounts' subscription templates, as far as they are kept, as `appid templateId`. */
  async findLongTerm(appids: readonly string[], tx: Tx): Promise<ReadonlySet<string>> {
    const lists = await this.lists.findSubscriptionLists(appids, tx);
    return new Set(
      lists.flatMap(({ appid, templates }) =>
        longTermOf(templates ?? []).map((templateId) => `${appid} ${templateId}`),
      ),
    );
  }

  /** WeChat has called a template wrong: what is kept is read again at the next look. */
  async forget(appid: string, kind: TemplateKind): Promise<void> {
    await this.db.write((tx) => this.lists.doubt(tx, appid, kind));
  }

  /** What is kept where it is enough; else what WeChat says, if it may be asked and answers. */
  async #look(
    account: Account,
    kind: TemplateKind,
    isEnough: (list: TemplateList) => boolean,
  ): Promise<Look> {
    const { appid, accountType } = account;
    if (KIND_OF[accountType] !== kind) throw new AppError('kind_not_supported');
    const isGood = (list: TemplateList | null): boolean =>
      list !== null &&
      ((!list.isDoubted && isEnough(list)) || (isAnswered(list) && !this.#mayAsk(list)));
    const kept = await this.lists.find(appid, kind);
    if (isGood(kept)) return { list: kept, failure: null };
    // In turns: who comes while WeChat is being asked waits for what it says.
    return this.turns.run(`templates:${appid}`, async () => {
      const list = await this.lists.find(appid, kind);
      if (isGood(list) || (list && !this.#mayAsk(list))) return { list, failure: null };
      return this.#ask(appid, kind, list);
    });
  }

  async #ask(appid: string, kind: TemplateKind, kept: TemplateList | null): Promise<Look> {
    if (!(await this.#claim(appid, kind, kept)))
      return { list: await this.lists.find(appid, kind), failure: null };
    try {
      const templates = await this.reader.read(appid, kind);
      await this.db.write(async (tx) => {
        await this.lists.keep(tx, { appid, kind }, templates, this.clock.now());
        await this.people.noteLongTerm(tx, appid, longTermOf(templates));
      });
      return { list: await this.lists.find(appid, kind), failure: null };
    } catch (error) {
      if (!isPassing(error)) throw error;
      this.logger.warn('templates.not_read', { appid, kind, ...errorFields(error) });
      return { list: await this.lists.find(appid, kind), failure: error };
    }
  }

  /** @returns false when another process was faster */
  async #claim(appid: string, kind: TemplateKind, kept: TemplateList | null): Promise<boolean> {
    const now = this.clock.now();
    const since = new Date(now.getTime() - ASKED_EVERY_MS);
    if (kept) return this.lists.claim(kept, now, since);
    await this.db.write(async (tx) => {
      if (!(await this.accounts.findForUpdate(tx, appid))) throw new AppError('not_found');
      await this.lists.begin(tx, appid, kind, now);
    });
    return true;
  }

  #mayAsk({ askedAt }: TemplateList): boolean {
    return this.#ageOf(askedAt) >= ASKED_EVERY_MS;
  }

  #ageOf(moment: Date): number {
    return this.clock.now().getTime() - moment.getTime();
  }

  #unavailable(list: TemplateList | null): AppError {
    const waitMs = ASKED_EVERY_MS - (list ? this.#ageOf(list.askedAt) : 0);
    return new AppError('templates_unavailable', [], Math.max(1, Math.ceil(waitMs / 1000)));
  }
}

function longTermOf(templates: readonly Template[]): string[] {
  return templates.flatMap((template) =>
    'consent' in template && template.consent === 'long_term' ? [template.templateId] : [],
  );
}

/** Whether WeChat has answered when it was last asked. */
function isAnswered({ readAt, askedAt }: TemplateList): boolean {
  return readAt !== null && readAt >= askedAt;
}
