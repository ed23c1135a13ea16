import type { FieldError } from '../../common/app-error.js';
import type { SaveSendConfigDto, SendConfigDto } from '../send-config.dto.js';

export const STRATEGIES = ['access_token_url', 'app_secret'] as const;
export type StrategyName = (typeof STRATEGIES)[number];

/** A token that WeChat takes. */
export interface FetchedToken {
  accessToken: string;
  /** What its source says; null when that says nothing. */
  saidSeconds: number | null;
  /** How long it is kept before it is fetched again. */
  expiresInSeconds: number;
}

/**
 * A way to a mini-program's own token. What it needs to know is kept sealed as a whole: it alone knows what in it may be
 * shown.
 */
export interface SendStrategy<S extends object = object> {
  readonly name: StrategyName;

  /** The field that a failure is about. */
  readonly field: keyof SaveSendConfigDto;

  /**
   * The settings that a request asks for: what is left out of secrets stays as it is stored.
   *
   * @param stored null when there are none of this strategy
   * @throws AppError `validation_failed`
   */
  merge(asked: SaveSendConfigDto, stored: S | null): S;

  /** The settings without their secrets. */
  show(settings: S): Partial<SendConfigDto>;

  /** What no other mini-program of the tenant may have; null where that does not matter. */
  uniqueOf(settings: S): string | null;

  /**
   * A token, tried at WeChat. Nothing is kept from one call to the next.
   *
   * @throws SendTokenError that names the step which failed
   */
  fetch(appid: string, settings: S): Promise<FetchedToken>;
}

/** A field that stands in a request although the strategy has no use for it. */
export function notOfStrategy(
  asked: SaveSendConfigDto,
  names: readonly (keyof SaveSendConfigDto)[],
): FieldError[] {
  return names
    .filter((field) => asked[field] !== undefined && asked[field] !== null)
    .map((field) => ({
      field,
      code: 'not_of_strategy',
      detail: {
        zh: `${asked.strategy} 方式没有此字段，请去掉。`,
        en: `The strategy ${asked.strategy} has no such field. Leave it out.`,
      },
    }));
}

/** A secret that is neither in the request nor stored. */
export function notGiven(field: keyof SaveSendConfigDto): FieldError {
  return {
    field,
    code: 'is_defined',
    detail: {
      zh: '必填：尚未保存过，无法沿用。',
      en: 'Required: none is stored that could be kept.',
    },
  };
}
