import QRCode from 'qrcode';
import sharp from 'sharp';

import { outlineText } from './text-lines.js';

export const PICTURE_FORMATS = ['png', 'svg', 'jpeg'] as const;
export type PictureFormat = (typeof PICTURE_FORMATS)[number];

export const PICTURE_TYPES: Readonly<Record<PictureFormat, string>> = {
  png: 'image/png',
  svg: 'image/svg+xml; charset=utf-8',
  jpeg: 'image/jpeg',
};

/** A file that says it is a picture may unpack to anything. */
export const MAX_PIXELS = 25_000_000;
/** Of light around the code, in its own squares. @see ISO/IEC 18004 */
const QUIET = 4;
/** A logo hides so much of the side: a code that is made to bear it does. */
const LOGO_SHARE = 0.2;
const LOGO_PIXELS = 400;
/** Of a caption, to the side of the code: its three lines of large letters leave room for five of small ones. */
const CAPTION = { width: 0.92, height: 0.33, most: 0.065, least: 0.045 };
const JPEG_QUALITY = 92;

export interface Drawing {
  /** What the code says, or the picture of one that only WeChat can draw. */
  source: { content: string } | { picture: Buffer };
  format: PictureFormat;
  /** Of the code's side, in pixels. A caption comes below it. */
  size: number;
  /** A picture in any format, see {@link readLogo}. */
  logo?: Buffer | null;
  caption?: string | null;
}

/** Draws a code. The same on every machine: nothing of it hangs on fonts that are installed there. */
export async function draw({ source, format, size, logo, caption }: Drawing): Promise<Buffer> {
  const code =
    'content' in source
      ? drawContent(source.content, size, logo ? 'H' : 'M')
      : pictureSvg(await toPng(source.picture, size), 0, size);
  const text = caption ? await drawCaption(caption, size) : { svg: '', height: 0 };
  const height = size + text.height;
  const svg = Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${height}" width="${size}" height="${height}"><rect width="${size}" height="${height}" fill="#fff"/>${code}${logo ? drawLogo(logo, size) : ''}${text.svg}</svg>`,
  );
  if (format === 'svg') return svg;
  const picture = sharp(svg);
  return format === 'png'
    ? picture.png({ compressionLevel: 9 }).toBuffer()
    : picture.flatten({ background: '#fff' }).jpeg({ quality: JPEG_QUALITY }).toBuffer();
}

/**
 * Makes a logo of a picture.
 *
 * @returns a PNG; `unreadable` for what is no picture, `too_large` for one of more than {@link MAX_PIXELS}
 */
export async function readLogo(picture: Buffer): Promise<Buffer | 'unreadable' | 'too_large'> {
  try {
    const { width, height } = await sharp(picture, { limitInputPixels: false }).metadata();
    if (width * height > MAX_PIXELS) return 'too_large';
    return await toPng(picture, LOGO_PIXELS);
  } catch {
    return 'unreadable';
  }
}

function toPng(picture: Buffer, size: number): Promise<Buffer> {
  return sharp(picture, { limitInputPixels: MAX_PIXELS })
    .resize(size, size, { fit: 'contain', background: '#fff' })
    .png()
    .toBuffer();
}

function drawContent(content: string, size: number, errorCorrectionLevel: 'M' | 'H'): string {
  const { modules } = QRCode.create(content, { errorCorrectionLevel });
  const count = modules.size;
  // Whole pixels, so that edges stay sharp; where there are fewer pixels than squares, parts of them.
  const exact = size / (count + 2 * QUIET);
  const module = exact < 1 ? exact : Math.floor(exact);
  const margin = (size - module * count) / 2;
  const squares: string[] = [];
  for (let row = 0; row < count; row++)
    for (let column = 0; column < count; column++) {
      if (!modules.get(row, column)) continue;
      const x = Math.floor(margin) + column * module;
      squares.push(`M${x} ${Math.floor(margin) + row * module}h${module}v${module}h-${module}z`);
    }
  return `<path d="${squares.join('')}" fill="#000" shape-rendering="crispEdges"/>`;
}

function drawLogo(logo: Buffer, size: number): string {
  const side = Math.round(size * LOGO_SHARE);
  const frame = Math.max(2, Math.round(side * 0.08));
  const at = (size - side) / 2;
  return `<rect x="${at - frame}" y="${at - frame}" width="${side + 2 * frame}" height="${side + 2 * frame}" rx="${frame * 2}" fill="#fff"/>${pictureSvg(logo, at, side)}`;
}

function pictureSvg(png: Buffer, at: number, side: number): string {
  return `<image x="${at}" y="${at}" width="${side}" height="${side}" href="data:image/png;base64,${png.toString('base64')}"/>`;
}

async function drawCaption(
  caption: string,
  size: number,
): Promise<{ svg: string; height: number }> {
  const room = {
    width: size * CAPTION.width,
    height: size * CAPTION.height,
    most: size * CAPTION.most,
    least: size * CAPTION.least,
  };
  const { lines, lineHeight, size: letters } = await outlineText(caption, room);
  if (lines.length === 0) return { svg: '', height: 0 };
  const svg = lines.map(
    ({ svg: outlines, width }, place) =>
      `<g transform="translate(${(size - width) / 2} ${size + lineHeight * place + letters * 0.85})">${outlines}</g>`,
  );
  return { svg: svg.join(''), height: Math.ceil(lineHeight * lines.length + letters * 0.5) };
}
