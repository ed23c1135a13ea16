import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';

import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy';

import { AppError } from './app-error.js';

const MAX_FIELDS = 8;
const MAX_FIELD_BYTES = 1024;
const MAX_HEADERS = 16;
const MAX_HEADER_BYTES = 4096;
/** So much of a form that is refused is still read. */
const MAX_DRAINED_BYTES = 16 * 1024 * 1024;

/** The file of a form. */
export class UploadedFile {
  /** What its sender calls it, which may be anything. */
  name: string;
  bytes: Buffer;

  /** What tells it from another one: an `Idempotency-Key` is held against it. */
  toJSON(): object {
    return { name: this.name, sha256: sha256Of(this.bytes) };
  }
}

/** The fields of a form by their names. */
export type FormBody = Record<string, string | UploadedFile>;

/** @returns in hexadecimal digits */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Reads a form with at most one file into memory; nothing touches the disk.
 *
 * @param contentType of the request, with the boundary
 * @throws AppError `malformed_form`; `media_too_large` for a file of more than `maxFileBytes`
 * @see https://www.rfc-editor.org/rfc/rfc7578.html
 */
export async function readForm(
  payload: Readable,
  contentType: string,
  maxFileBytes: number,
): Promise<FormBody> {
  try {
    return await readFields(payload, openForm(contentType, maxFileBytes));
  } catch (error) {
    await drain(payload);
    throw error;
  }
}

function openForm(contentType: string, maxFileBytes: number): BusboyInstance {
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      limits: {
        files: 1,
        fileSize: maxFileBytes,
        fields: MAX_FIELDS,
        fieldSize: MAX_FIELD_BYTES,
        parts: MAX_FIELDS + 1,
        headerPairs: MAX_HEADERS,
        headerSize: MAX_HEADER_BYTES,
      },
    });
  } catch {
    throw new AppError('malformed_form');
  }
}

function readFields(payload: Readable, form: BusboyInstance): Promise<FormBody> {
  return new Promise((resolve, reject) => {
    const fields = new Map<string, string | UploadedFile>();
    const files: Promise<void>[] = [];
    const refuse = (): void => reject(new AppError('malformed_form'));
    // Without a name, which the parser's types do not know of.
    const keep = (name: string | undefined, value: string | UploadedFile): void => {
      if (!name || fields.has(name)) refuse();
      else fields.set(name, value);
    };
    form
      .on('field', (name, value, _isNameCut, isCut) => (isCut ? refuse() : keep(name, value)))
      .on('file', (name, stream, fileName: string | undefined) => {
        const file = readFile(stream, fileName ?? '').then((read) => keep(name, read));
        file.catch(reject);
        files.push(file);
      })
      .on('filesLimit', refuse)
      .on('fieldsLimit', refuse)
      .on('partsLimit', refuse)
      .on('error', refuse)
      .on('finish', () => {
        Promise.all(files).then(() => resolve(Object.fromEntries(fields)), reject);
      });
    payload
      .once('error', refuse)
      .once('close', () => {
        if (!payload.readableEnded) refuse();
      })
      .pipe(form);
  });
}

function readFile(stream: BusboyFileStream, name: string): Promise<UploadedFile> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    stream
      .on('data', (chunk: Buffer) => chunks.push(chunk))
      .on('limit', () => reject(new AppError('media_too_large')))
      .on('error', () => reject(new AppError('malformed_form')))
      .on('end', () =>
        resolve(Object.assign(new UploadedFile(), { name, bytes: Buffer.concat(chunks) })),
      );
  });
}

/** Reads on without looking: whoever is cut off while sending sees no answer. */
function drain(payload: Readable): Promise<void> {
  payload.unpipe();
  if (payload.readableEnded || payload.destroyed) return Promise.resolve();
  return new Promise((done) => {
    let bytes = 0;
    payload
      .on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_DRAINED_BYTES) done();
      })
      .once('end', done)
      .once('close', done)
      .once('error', () => done())
      .resume();
  });
}
