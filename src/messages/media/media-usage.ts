import {
  checkMediaFacts,
  type MediaFacts,
  type MediaFormat,
  type MediaKind,
  type MediaLimit,
  type MediaProblem,
  TEMPORARY_MEDIA_KINDS,
  TEMPORARY_MEDIA_LIMITS,
} from '@app/wechat';

import type { Account } from '../../accounts/account.entity.js';
import type { Text } from '../../common/text.js';

export const MEDIA_KINDS = [
  'image',
  'voice',
  'video',
  'thumb',
] as const satisfies readonly MediaKind[];

/** The largest file of any kind. */
export const MAX_MEDIA_BYTES = Math.max(
  ...MEDIA_KINDS.map((kind) => TEMPORARY_MEDIA_LIMITS[kind].maxBytes),
);

const KIND_OF: Readonly<Record<MediaFormat, MediaKind>> = {
  png: 'image',
  jpeg: 'image',
  gif: 'image',
  mp3: 'voice',
  amr: 'voice',
  mp4: 'video',
};

/** Why a file cannot be used. */
export interface UsageProblem {
  code: MediaProblem['code'] | 'media_kind_not_supported';
  detail: Text;
}

/** What a file is used as unless it is said; null for one that is nothing WeChat takes. */
export function usualKind(format: MediaFormat | null): MediaKind | null {
  return format && KIND_OF[format];
}

/**
 * Whether WeChat takes a file of the account as this kind: an image may serve as a thumb when it is small enough.
 *
 * @returns what is wrong; null when nothing is
 */
export function checkUsage(
  { accountType }: Pick<Account, 'accountType'>,
  file: MediaFacts,
  kind: MediaKind | null,
): UsageProblem | null {
  const kinds = TEMPORARY_MEDIA_KINDS[accountType];
  if (kind === null) return checkMediaFacts(file, anyOf(kinds));
  if (kinds.includes(kind)) return checkMediaFacts(file, TEMPORARY_MEDIA_LIMITS[kind]);
  return {
    code: 'media_kind_not_supported',
    detail: {
      zh: '小程序只能发送图片（PNG / JPEG / GIF），请改用图片，或使用公众号。',
      en: 'A mini-program sends images only, PNG / JPEG / GIF. Use an image, or an official account.',
    },
  };
}

function anyOf(kinds: readonly MediaKind[]): MediaLimit {
  const limits = kinds.map((kind) => TEMPORARY_MEDIA_LIMITS[kind]);
  return {
    maxBytes: Math.max(...limits.map(({ maxBytes }) => maxBytes)),
    formats: [...new Set(limits.flatMap(({ formats }) => formats))],
  };
}
