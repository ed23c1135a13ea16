import {
  imageReply,
  type MediaKind,
  musicReply,
  newsReply,
  type ReplyHead,
  textReply,
  videoReply,
  voiceReply,
} from '@app/wechat';

import type { AnyMessageDto } from './customer-service-message.dto.js';

/** A medium of ours that a message carries. */
export interface CarriedFile {
  id: string;
  kind: MediaKind;
}

/** WeChat's id of a medium of ours; null while it has no copy that will do. */
export type ReadyMedia = (mediaId: string, kind: MediaKind) => string | null;

/** The types of messages that WeChat takes as passive replies. */
export const PASSIVE_TYPES: readonly AnyMessageDto['type'][] = [
  'text',
  'image',
  'voice',
  'video',
  'music',
  'news',
];

/** The media that a message needs to be a passive reply. */
export function passiveMediaOf(message: AnyMessageDto): CarriedFile[] {
  switch (message.type) {
    case 'image':
    case 'voice':
    case 'video':
      return [{ id: message.mediaId, kind: message.type }];
    case 'music':
      return [{ id: message.thumbMediaId, kind: 'thumb' }];
    default:
      return [];
  }
}

/**
 * A customer-service message as the document of a passive reply, which needs no window and uses none up.
 *
 * @returns null for a type that WeChat does not take as one, or while a medium of it is not ready
 */
export function passiveReply(
  message: AnyMessageDto,
  head: ReplyHead,
  media: ReadyMedia,
): string | null {
  switch (message.type) {
    case 'text':
      return textReply(head, message.text);
    case 'news':
      return newsReply(head, [message]);
    case 'image':
    case 'voice':
    case 'video':
    case 'music':
      return withMedia(message, head, media);
    default:
      return null;
  }
}

function withMedia(
  message: Extract<AnyMessageDto, { type: 'image' | 'voice' | 'video' | 'music' }>,
  head: ReplyHead,
  media: ReadyMedia,
): string | null {
  const [needed] = passiveMediaOf(message);
  const mediaId = needed ? media(needed.id, needed.kind) : null;
  if (mediaId === null) return null;
  switch (message.type) {
    case 'image':
      return imageReply(head, mediaId);
    case 'voice':
      return voiceReply(head, mediaId);
    case 'video': {
      const { title = '', description = '' } = message;
      return videoReply(head, { mediaId, title, description });
    }
    case 'music': {
      const { title = '', description = '', url, hqUrl } = message;
      return musicReply(head, { title, description, url, hqUrl, thumbMediaId: mediaId });
    }
  }
}
