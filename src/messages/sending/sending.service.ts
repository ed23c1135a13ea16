import { Injectable } from '@nestjs/common';

import type { Account } from '../../accounts/account.entity.js';
import type { SceneState } from '../../accounts/scenes.js';
import { AppError, type FieldError } from '../../common/app-error.js';
import type { DeliveryFailure, Delivery } from '../deliveries/delivery.entity.js';
import { DeliveryLedger } from '../deliveries/delivery-ledger.js';
import { MessageKinds } from '../kinds/message-kinds.js';
import { EligibilityService, type Wanted } from '../people/eligibility.service.js';
import { DeliverySender } from './delivery-sender.js';
import { SceneGate } from './scene-gate.js';
import type { RecipientDto, SendMessageDto } from './message.dto.js';

/** Single messages, as clients ask for them. */
@Injectable()
export class SendingService {
  constructor(
    private readonly gate: SceneGate,
    private readonly kinds: MessageKinds,
    private readonly eligibility: EligibilityService,
    private readonly ledger: DeliveryLedger,
    private readonly sender: DeliverySender,
  ) {}

  /**
   * Sends one message to one person, now.
   *
   * @returns the delivery, whatever became of it
   * @throws AppError `kind_not_supported`, `account_disabled`, `scene_not_available`, `validation_failed`
   * @throws WechatApiError, WechatUnavailableError where WeChat does not show the account's templates
   */
  async send(account: Account, request: SendMessageDto): Promise<Delivery> {
    const { kind: name, to } = request;
    const scene = await this.gate.pass(account, name);
    const kind = this.kinds.of(name);
    const content = kind.read(request.content);
    if (Array.isArray(content)) throw new AppError('validation_failed', content);
    const wrong = [...recipientErrors(to), ...(await kind.check(account, content))];
    if (wrong.length > 0) throw new AppError('validation_failed', wrong);
    const openid = openidOf(account, to);
    const wanted = {
      kind: name,
      openid,
      userId: to.userId ?? null,
      templateId: kind.templateIdOf(content),
      content,
      parts: kind.partsOf(content),
    };
    const obstacle =
      openid === null
        ? noOpenid(account)
        : await this.#obstacle(account, { ...wanted, openid, count: wanted.parts }, scene);
    if (obstacle) return this.ledger.skip(account, wanted, obstacle);
    const held = await this.ledger.begin(account, wanted);
    return this.sender.send(account, held, content);
  }

  async #obstacle(
    account: Account,
    wanted: Wanted,
    scene: SceneState,
  ): Promise<DeliveryFailure | null> {
    const { reasons } = await this.eligibility.check(account, wanted, scene);
    const [first] = reasons;
    if (!first) return null;
    const { code, detail, changesAt } = first;
    return { reason: code, errcode: null, detail, retryable: changesAt !== null };
  }
}

function recipientErrors({ openid, userId, properties }: RecipientDto): FieldError[] {
  const isByOpenid = openid !== undefined;
  const isByProperties = userId !== undefined && properties !== undefined;
  if (isByOpenid ? properties === undefined : isByProperties) return [];
  return [
    {
      field: 'to',
      code: 'recipient',
      detail: {
        zh: '请填写 openid，或同时填写 userId 与 properties，不要都填。',
        en: 'Give `openid`, or `userId` and `properties`, and not all of them.',
      },
    },
  ];
}

function openidOf(
  { openidProperty }: Account,
  { openid, properties }: RecipientDto,
): string | null {
  if (openid !== undefined) return openid;
  if (!properties || openidProperty === null) return null;
  const value = Object.hasOwn(properties, openidProperty) ? properties[openidProperty] : undefined;
  return value?.trim() || null;
}

function noOpenid({ openidProperty }: Account): DeliveryFailure {
  return {
    reason: 'openid_missing',
    errcode: null,
    detail: {
      zh: `该用户的属性 ${openidProperty ?? ''} 没有值，不知道其在该账号的 OpenID。`,
      en: `The person has nothing in the property ${openidProperty ?? ''}: the openid for this account is not known.`,
    },
    retryable: false,
  };
}
