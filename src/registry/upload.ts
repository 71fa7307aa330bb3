import { BoxcarError } from '../errors.ts';
import { Patience, type RetryNotice } from '../http/retry.ts';
import type { Digest } from '../oci/digest.ts';
import { BodyCursor, type UploadBody } from './body-cursor.ts';
import type { Repository } from './repository.ts';
import type { UploadManner } from './upload-manner.ts';
import {
  appendUpload,
  cancelUpload,
  closeUpload,
  DigestRefused,
  startUpload,
  type UploadSession,
  uploadStatus,
} from './upload-session.ts';

/** An unfinished upload, as it is kept across processes. */
export interface SavedUpload {
  location: string;
  /** Bytes that the registry is known to hold. */
  offset: number;
}

export interface UploadOptions {
  saved?: SavedUpload | undefined;
  /** Called after every answer that changes what must be remembered; `undefined` when the session is gone. */
  onSaved?: (saved: SavedUpload | undefined) => void;
  /** Bytes of the body handed over so far, seen from the registry's offset. */
  onOffset?: (offset: number) => void;
  onRetry?: (notice: RetryNotice) => void;
  /** Ends the upload cleanly at the next byte; the session stays. */
  stop: AbortSignal;
  /** Ends everything at once. */
  kill: AbortSignal;
}

/** A body whose bytes or digest were wrong is sent once more from its first byte: the way may have been at fault. */
const freshStarts = 1;

/**
 * Uploads one blob: after any failure, on either side, asks how far the registry is and opens the body there.
 * @returns the blob's digest, which the registry has confirmed.
 * @throws BoxcarError; the reason of `stop` or `kill` when stopped, with everything saved.
 */
export async function uploadBlob(
  repository: Repository,
  manner: UploadManner,
  body: UploadBody,
  options: UploadOptions,
): Promise<Digest> {
  const upload = new Upload(repository, manner, body, options);
  return upload.run();
}

class Upload {
  readonly #repository: Repository;
  readonly #manner: UploadManner;
  readonly #body: UploadBody;
  readonly #options: UploadOptions;
  readonly #cursor: BodyCursor;
  readonly #patience: Patience;
  #session: UploadSession | undefined;
  /** Whether the session's offset must be asked for before it is believed. */
  #uncertain = false;
  #freshStarts = freshStarts;

  constructor(repository: Repository, manner: UploadManner, body: UploadBody, options: UploadOptions) {
    this.#repository = repository;
    this.#manner = manner;
    this.#body = body;
    this.#options = options;
    this.#cursor = new BodyCursor(body, options.stop);
    this.#patience = new Patience({
      ...repository.patience,
      onRetry: (notice) => options.onRetry?.(notice),
    });
    const location = options.saved && URL.parse(options.saved.location);
    if (options.saved && location) {
      this.#session = { location, offset: options.saved.offset };
      this.#uncertain = true;
    }
  }

  async run(): Promise<Digest> {
    try {
      for (;;) {
        try {
          await this.#locate();
          await this.#send();
          return await this.#close();
        } catch (error) {
          await this.#recover(error);
        }
      }
    } finally {
      await this.#cursor.close();
    }
  }

  /** Finds out how far the registry is: the registry is the truth, what was saved is a hint. */
  async #locate(): Promise<void> {
    const { kill, stop } = this.#options;
    if (stop.aborted) throw stop.reason;
    if (this.#session && this.#uncertain) {
      const before = this.#session.offset;
      this.#keep(await uploadStatus(this.#repository, this.#session, kill));
      if (this.#session && this.#session.offset > before) this.#progress();
    }
    if (this.#session && this.#session.offset > this.#body.size) this.#keep(undefined);
    if (!this.#session) this.#keep(await startUpload(this.#repository, kill));
    this.#uncertain = false;
  }

  async #send(): Promise<void> {
    const { stop } = this.#options;
    for (let session = this.#session; session && session.offset < this.#body.size; session = this.#session) {
      await this.#cursor.seek(session.offset);
      this.#options.onOffset?.(session.offset);
      await this.#cursor.ready();
      await (this.#manner.kind === 'stream' ? this.#sendStream(session) : this.#sendChunk(session));
      if (this.#cursor.failure !== undefined) throw this.#cursor.failure;
      if (stop.aborted) throw stop.reason;
    }
    // A session that was complete already: the digest still needs every byte to have passed.
    await this.#cursor.seek(this.#body.size);
    for await (const _ of this.#cursor.take(1)) break;
    if (this.#cursor.failure !== undefined) throw this.#cursor.failure;
    if (stop.aborted) throw stop.reason;
  }

  async #sendStream(session: UploadSession): Promise<void> {
    await this.#append(session, this.#counted(this.#cursor.take(Number.POSITIVE_INFINITY)), undefined);
  }

  /** A chunk is gathered first, so that a slow or failing hub never leaves one unfinished. */
  async #sendChunk(session: UploadSession): Promise<void> {
    const pieces: Uint8Array[] = [];
    const size = Math.min(this.#manner.chunkSize, this.#body.size - session.offset);
    let length = 0;
    while (length < size) {
      for await (const piece of this.#cursor.take(size - length)) {
        pieces.push(piece);
        length += piece.length;
      }
      if (length < size) await this.#cursor.ready();
    }
    async function* chunk() {
      yield* pieces;
    }
    await this.#append(session, this.#counted(chunk()), length);
  }

  async #append(
    session: UploadSession,
    bytes: AsyncIterable<Uint8Array>,
    length: number | undefined,
  ): Promise<void> {
    const { location: used, offset } = session;
    this.#uncertain = true;
    const location = await appendUpload(
      this.#repository,
      { location: used, offset },
      bytes,
      length,
      this.#options.kill,
    );
    this.#uncertain = false;
    // What was sent is believed, not the answer's Range: it counts from the PATCH's own start on zot, sticks on ECR.
    this.#keep({ location, offset: this.#cursor.position });
    this.#progress();
  }

  async *#counted(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let offset = this.#session?.offset ?? 0;
    for await (const piece of bytes) {
      yield piece;
      offset += piece.length;
      this.#options.onOffset?.(offset);
    }
  }

  async #close(): Promise<Digest> {
    const digest = this.#body.digest();
    const session = this.#session;
    if (!session) throw new Error('no upload session to close');
    try {
      this.#uncertain = true;
      await closeUpload(this.#repository, session, digest, this.#options.kill);
    } catch (error) {
      // The answer may be lost and the blob there: look before doing it again.
      const mayBeDone =
        error instanceof BoxcarError && !(error instanceof DigestRefused) && error.code !== 'unauthorized';
      if (!mayBeDone || !(await this.#repository.hasBlob(digest, this.#options.kill))) throw error;
    }
    return digest;
  }

  /** Makes the next attempt possible, after a wait; or throws what cannot be helped. */
  async #recover(error: unknown): Promise<void> {
    const { stop, kill } = this.#options;
    if (kill.aborted) throw kill.reason;
    if (stop.aborted) throw stop.reason;
    if (error instanceof DigestRefused || isMismatch(error)) {
      await this.#restart();
      if (this.#freshStarts === 0) throw error;
      this.#freshStarts -= 1;
      return this.#patience.wait(error, stop, true);
    }
    // The hub's reader has its own patience, which has run out.
    if (!(error instanceof BoxcarError) || error.side !== 'registry') throw error;
    await this.#patience.wait(error, stop, this.#learn(error));
  }

  /** @returns whether another attempt can help although the answer was final: in another manner, or in a new session. */
  #learn({ request, code }: BoxcarError): boolean {
    const session = this.#session;
    if (!session || !request || code === 'unauthorized') return false;
    const { method, status } = request;
    const failure = { status, offset: session.offset, sent: this.#cursor.position - session.offset };
    const changed = method === 'PATCH' && this.#manner.learn(failure);
    // Gone (distribution 2.8 and zot after a cut, a balancer's other node), or refused for good: start again.
    const kept = status === undefined || status >= 500 || [401, 408, 413, 416, 425, 429].includes(status);
    const lost = (method === 'PATCH' || method === 'PUT') && !kept;
    if (lost || changed) this.#keep(undefined);
    return lost || changed;
  }

  async #restart(): Promise<void> {
    const session = this.#session;
    this.#keep(undefined);
    await this.#cursor.close();
    if (session) await cancelUpload(this.#repository, session, this.#options.kill);
  }

  #keep(session: UploadSession | undefined): void {
    this.#session = session;
    this.#options.onSaved?.(session && { location: session.location.href, offset: session.offset });
  }

  #progress(): void {
    this.#patience.progress();
    this.#manner.progress();
  }
}

function isMismatch(error: unknown): boolean {
  return error instanceof BoxcarError && error.code === 'content-mismatch';
}
