import { createCipheriv } from 'node:crypto';
import { Agent, type Dispatcher } from 'undici';
import { BoxcarError } from '../../src/errors.ts';
import { HttpClient } from '../../src/http/client.ts';
import type { RetryNotice } from '../../src/http/retry.ts';
import { type Digest, digestOf as hashed } from '../../src/oci/digest.ts';
import type { Authorizer } from '../../src/registry/auth/authorizer.ts';
import type { UploadBody } from '../../src/registry/body-cursor.ts';
import { Repository } from '../../src/registry/repository.ts';
import { uploadBlob } from '../../src/registry/upload.ts';
import type { UploadManner } from '../../src/registry/upload-manner.ts';
import type { SavedUpload, UploadOptions } from '../../src/registry/upload-options.ts';

export const mib = 1024 * 1024;
export const manifestType = 'application/vnd.oci.image.manifest.v1+json';

interface Lifetime {
  after(cleanup: () => Promise<void>): void;
}

export interface RepositoryOptions {
  stallMs?: number;
  /** Retries without progress. Default 10, as the command's. */
  limit?: number;
  authorizer?: Pick<Authorizer, 'authorize' | 'challenged'> & { source: string };
  dispatcher?: Dispatcher;
  onRetry?: (notice: RetryNotice) => void;
}

/** `acme/x` of a registry, with waits of a millisecond between retries. */
export function repositoryAt(t: Lifetime, url: string, options: RepositoryOptions = {}): Repository {
  const {
    stallMs = 10_000,
    limit = 10,
    dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 }),
  } = options;
  t.after(() => dispatcher.destroy());
  const anonymous = {
    source: 'anonymous',
    authorize: async () => undefined,
    challenged: () => false,
    rememberScopes: () => () => {},
  };
  const authorizer = options.authorizer ?? anonymous;
  const http = new HttpClient({
    side: 'registry',
    dispatcher,
    origin: url,
    stallMs,
    userAgent: 'test',
    authorize: (_at, signal) => authorizer.authorize(signal),
  });
  const onRetry = options.onRetry ?? (() => {});
  return new Repository('acme/x', http, authorizer as unknown as Authorizer, { limit, baseMs: 1, onRetry });
}

const seeded = new Map<string, Buffer>();
const digests = new WeakMap<Uint8Array, Digest>();

/** Bytes that look random and are the same in every run; made once, so nobody may alter them. */
export function seededBytes(size: number, seed = 1): Buffer {
  const name = `${size} ${seed}`;
  const made = seeded.get(name) ?? cipherOfZeros(size, seed);
  seeded.set(name, made);
  return made;
}

function cipherOfZeros(size: number, seed: number): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** The digest of bytes that nobody alters, worked out once. */
export function digestOf(bytes: Uint8Array): Digest {
  const known = digests.get(bytes) ?? hashed(bytes);
  digests.set(bytes, known);
  return known;
}

export interface TestBodyOptions {
  /** Bytes of a piece. Default 64 KiB. */
  piece?: number;
  /** Called before the piece at `offset` is given; may wait or throw. */
  before?: (offset: number, signal: AbortSignal) => Promise<void> | void;
  /** So many times the bytes that passed are found wrong. */
  mismatches?: number;
  /** What it says its digest is. */
  claimed?: Digest;
}

/** A body that can be opened anywhere and is as strict as a layer: a piece is valid until the next, and the hash needs every byte and can be asked once. */
export class TestBody implements UploadBody {
  readonly size: number;
  readonly bytes: Buffer;
  /** Offsets it was opened at. */
  readonly opened: number[] = [];
  readonly #options: TestBodyOptions;
  #mismatches: number;
  #passed = 0;
  #asked = false;

  constructor(bytes: Buffer, options: TestBodyOptions = {}) {
    this.bytes = bytes;
    this.size = bytes.length;
    this.#options = options;
    this.#mismatches = options.mismatches ?? 0;
  }

  async *open(from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    this.opened.push(from);
    this.#passed = from;
    this.#asked = false;
    const { piece = 64 * 1024, before } = this.#options;
    const buffer = Buffer.alloc(piece);
    for (let offset = from; offset < this.size; offset += piece) {
      await before?.(offset, signal);
      signal.throwIfAborted();
      const length = this.bytes.copy(buffer, 0, offset, offset + piece);
      this.#passed = offset + length;
      yield buffer.subarray(0, length);
      // A piece is valid until the next one is asked for: who keeps it longer gets other bytes.
      buffer.fill(0xee);
    }
  }

  digest(): Digest {
    if (this.#asked) throw new Error('the digest was asked for twice');
    this.#asked = true;
    if (this.#passed !== this.size || this.#mismatches > 0) {
      this.#mismatches -= 1;
      throw new BoxcarError('wrong bytes', { code: 'content-mismatch', side: 'hub' });
    }
    return this.#options.claimed ?? digestOf(this.bytes);
  }
}

export interface Uploaded {
  digest: Digest | undefined;
  error: BoxcarError;
  /** What a state file would have at the end. */
  saved: SavedUpload | undefined;
  retries: RetryNotice[];
  offsets: number[];
}

/** Uploads a body and tells how that went, failures included. */
export async function upload(
  repository: Repository,
  manner: UploadManner,
  body: UploadBody,
  options: Partial<UploadOptions> = {},
): Promise<Uploaded> {
  const never = new AbortController().signal;
  const result: Uploaded = {
    digest: undefined,
    error: new BoxcarError('none', { code: 'unexpected', side: 'local' }),
    saved: options.saved,
    retries: [],
    offsets: [],
  };
  try {
    result.digest = await uploadBlob(repository, manner, body, {
      stop: never,
      kill: never,
      onSaved: (saved) => {
        result.saved = saved;
      },
      onOffset: (offset) => result.offsets.push(offset),
      ...options,
      onRetry: (notice) => {
        result.retries.push(notice);
        options.onRetry?.(notice);
      },
    });
  } catch (error) {
    result.error = error as BoxcarError;
  }
  return result;
}

export function stopReason(): BoxcarError {
  return new BoxcarError('stopped', { code: 'stopped', side: 'local' });
}

/** A promise with its resolver: what tests wait on instead of time. */
export function gate(): { opened: Promise<void>; open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}
