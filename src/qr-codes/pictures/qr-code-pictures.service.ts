import type { Readable } from 'node:stream';

import { Injectable } from '@nestjs/common';
import pLimit from 'p-limit';

import type { Caller } from '../../access/roles.js';
import { AccountsService } from '../../accounts/accounts.service.js';
import { AppError, type FieldError } from '../../common/app-error.js';
import { errorFields, Logger } from '../../common/logger.js';
import { MediaService } from '../../messages/media/media.service.js';
import type { QrCode } from '../qr-code.entity.js';
import { QrCodesRepository } from '../qr-codes.repository.js';
import { archive, type ArchiveFile } from './archive.js';
import { draw, MAX_PIXELS, type PictureFormat, readLogo } from './drawing.js';

const ENDINGS: Readonly<Record<PictureFormat, string>> = { png: 'png', svg: 'svg', jpeg: 'jpg' };

/** Drawing takes much of a processor, and a slow reader long. */
const MAX_PACKING = 4;
const RETRY_SECONDS = 10;
/** Characters of a code's name. */
const MAX_FILE_NAME = 50;

export interface Look {
  format: PictureFormat;
  /** 100..2000 pixels. */
  size: number;
  /** A medium of ours. */
  logo?: string;
}

/** The pictures of codes, drawn when they are asked for. */
@Injectable()
export class QrCodePictures {
  #packing = 0;
  /** Of all archives, one picture at a time: a large one takes a hundred megabytes while it is drawn. */
  readonly #inTurn = pLimit(1);

  constructor(
    private readonly codes: QrCodesRepository,
    private readonly media: MediaService,
    private readonly accounts: AccountsService,
    private readonly logger: Logger,
  ) {}

  /** @throws AppError `not_found`; `media_not_found`, `media_not_usable` for the logo */
  async draw(
    caller: Caller,
    appid: string,
    id: string,
    { caption, ...look }: Look & { caption?: string },
  ): Promise<Buffer> {
    await this.accounts.get(caller, appid);
    const code = await this.codes.find(appid, id);
    if (!code) throw new AppError('not_found');
    const logo = await this.#readLogo(appid, look.logo);
    return this.#draw(code, look, logo, caption);
  }

  /**
   * Many in one archive, each drawn when its turn comes.
   *
   * @param ids each once
   * @param isCaptioned each bears its name
   * @returns ends early for a reader that takes none for a minute
   * @throws as {@link draw}; `too_many_requests` while this process is at work on {@link MAX_PACKING} others
   */
  async pack(
    caller: Caller,
    appid: string,
    ids: readonly string[],
    look: Look,
    isCaptioned: boolean,
  ): Promise<Readable> {
    await this.accounts.get(caller, appid);
    const codes = await this.codes.findAll(appid, ids);
    if (codes.length < ids.length) throw new AppError('not_found');
    const logo = await this.#readLogo(appid, look.logo);
    if (this.#packing >= MAX_PACKING) throw new AppError('too_many_requests', [], RETRY_SECONDS);
    this.#packing += 1;
    const packed = archive(this.#drawEach(codes, look, logo, isCaptioned));
    packed.once('close', () => (this.#packing -= 1));
    packed.once('error', (error) =>
      this.logger.warn('qr_code.not_packed', { appid, ...errorFields(error) }),
    );
    return packed;
  }

  async *#drawEach(
    codes: readonly QrCode[],
    look: Look,
    logo: Buffer | null,
    isCaptioned: boolean,
  ): AsyncGenerator<ArchiveFile> {
    for (const code of codes) {
      const caption = isCaptioned ? code.name : undefined;
      const content = await this.#inTurn(() => this.#draw(code, look, logo, caption));
      yield { name: `${fileNameOf(code)}.${ENDINGS[look.format]}`, content };
    }
  }

  async #draw(
    { id, contentUrl }: QrCode,
    { format, size }: Look,
    logo: Buffer | null,
    caption: string | undefined,
  ): Promise<Buffer> {
    const picture = contentUrl === null ? await this.codes.readPicture(id) : null;
    if (contentUrl === null && !picture) throw new AppError('not_found');
    const source = picture ? { picture } : { content: contentUrl ?? '' };
    // In the middle of a mini-program's code stands its own picture.
    return draw({ source, format, size, logo: picture ? null : logo, caption: caption ?? null });
  }

  async #readLogo(appid: string, mediaId: string | undefined): Promise<Buffer | null> {
    if (mediaId === undefined) return null;
    const media = await this.media.find(appid, mediaId);
    const content = media && (await this.media.readContent(media));
    if (!content) throw new AppError('media_not_found');
    const logo = await readLogo(content);
    if (typeof logo !== 'string') return logo;
    throw new AppError('media_not_usable', [LOGO_FAULTS[logo]]);
  }
}

const LOGO_FAULTS: Readonly<Record<'unreadable' | 'too_large', FieldError>> = {
  unreadable: {
    field: 'logo',
    code: 'not_a_picture',
    detail: {
      zh: '该素材不是可读取的图片，请上传 PNG 或 JPEG。',
      en: 'The medium is no picture that can be read. Upload a PNG or a JPEG.',
    },
  },
  too_large: {
    field: 'logo',
    code: 'too_large',
    detail: {
      zh: `该图片超过 ${MAX_PIXELS} 像素（宽 × 高，如 5000 × 5000），请缩小后上传；400 × 400 已足够。`,
      en: `The picture has more than ${MAX_PIXELS} pixels (width × height, as 5000 × 5000 has). Upload a smaller one: 400 × 400 are enough.`,
    },
  },
};

/** With the scene behind it, since names may be alike. Most file systems take 255 bytes, of which a character may need four. */
function fileNameOf({ name, scene }: QrCode): string {
  const plain = name.replaceAll(/[\p{C}\\/:*?"<>|]/gu, '_').replace(/^\.+/, '_');
  const begin = Array.from(plain).slice(0, MAX_FILE_NAME).join('');
  return `${begin.trim()}-${scene}`;
}
