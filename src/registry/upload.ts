import { BoxcarError } from '../errors.ts';
import { Patience } from '../http/retry.ts';
import type { Digest } from '../oci/digest.ts';
import { BodyCursor, type UploadBody } from './body-cursor.ts';
import { ChunkMemory, inPieces } from './chunk-pool.ts';
import type { Repository } from './repository.ts';
import type { Manner, UploadManner } from './upload-manner.ts';
import type { UploadOptions } from './upload-options.ts';
import {
  appendUpload,
  cancelUpload,
  closeUpload,
  DigestRefused,
  isSessionLost,
  startUpload,
  type UploadSession,
  uploadStatus,
} from './upload-session.ts';
import { WholeBody } from './whole-body.ts';

/** Fewer bytes than that are no progress: what always breaks off after a few would never be given up. */
const leastProgress = 64 * 1024;

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
  readonly #chunk: ChunkMemory;
  readonly #whole: WholeBody;
  readonly #patience: Patience;
  #session: UploadSession | undefined;
  /** Whether the session's offset must be asked for before it is believed. */
  #uncertain = false;
  /** How the newest request with bytes sent them. */
  #sentAs: Manner;
  /** Most bytes that a session ever had. Only more are progress: sessions lost again and again must run out of patience. */
  #furthest = 0;
  #digest: Digest | undefined;
  /** Bytes that the closing PUT brings. */
  #tail: Uint8Array | undefined;
  /** The newest PATCH was cut, so that its session may be gone. */
  #cut = false;
  /** Sessions that were gone with their bytes after a cut. */
  #lost = 0;
  #freshStarts = freshStarts;

  constructor(repository: Repository, manner: UploadManner, body: UploadBody, options: UploadOptions) {
    this.#repository = repository;
    this.#manner = manner;
    this.#sentAs = manner.now;
    this.#body = body;
    this.#options = options;
    this.#cursor = new BodyCursor(body, options.stop);
    this.#chunk = new ChunkMemory(manner.chunks);
    this.#whole = new WholeBody(this.#cursor, this.#chunk, body.size);
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
    const { saved, kill } = this.#options;
    if (saved?.digest && (await this.#repository.hasBlob(saved.digest, kill))) return saved.digest;
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
      this.#cursor.close();
      this.#chunk.release();
    }
  }

  /** Finds out how far the registry is: the registry is the truth, what was saved is a hint. */
  async #locate(): Promise<void> {
    const { kill, stop } = this.#options;
    if (stop.aborted) throw stop.reason;
    const before = this.#session;
    if (before && this.#uncertain) {
      this.#keep(await this.#ask(before));
      if (!this.#session && this.#cut) this.#lost += 1;
    }
    if (!this.#session) {
      if (this.#manner.for(0, this.#body.size).kind === 'whole') void this.#whole.gather();
      await this.#keep(await startUpload(this.#repository, kill));
    }
    this.#uncertain = false;
    this.#cut = false;
  }

  /** The session as the registry sees it, if it can be gone on with. */
  async #ask(before: UploadSession): Promise<UploadSession | undefined> {
    const { rangeLags = false, smallestChunk = 0 } = this.#manner.dialect;
    if (!this.#manner.goesOn) return undefined;
    const told = await uploadStatus(this.#repository, before, this.#options.kill);
    // Sessions do not shrink: one that tells less than it has confirmed is worth nothing, but where that is a known habit.
    if (!told || (told.offset < before.offset && !rangeLags)) return undefined;
    const offset = Math.max(told.offset, before.offset);
    return offset >= smallestChunk && offset <= this.#body.size ? { ...told, offset } : undefined;
  }

  async #send(): Promise<void> {
    const { stop } = this.#options;
    const { size } = this.#body;
    for (let session = this.#session; session && session.offset < size; session = this.#session) {
      if (this.#tail && session.offset + this.#tail.length === size) return;
      this.#tail = undefined;
      this.#options.onOffset?.(session.offset);
      this.#sentAs = this.#manner.for(session.offset, size);
      if (this.#sentAs.kind === 'whole') this.#tail = await this.#whole.gather();
      else await this.#sendPart(session);
      if (this.#cursor.failure !== undefined) throw this.#cursor.failure;
      if (stop.aborted) throw stop.reason;
      if (this.#tail) break;
    }
    if (this.#digest) return;
    // A session that was complete already: the digest still needs every byte to have passed.
    this.#cursor.seek(size);
    await this.#cursor.finish();
    if (stop.aborted) throw stop.reason;
  }

  async #sendPart(session: UploadSession): Promise<void> {
    await this.#whole.leave();
    this.#cursor.seek(session.offset);
    await this.#cursor.ready();
    this.#sentAs = this.#manner.for(session.offset, this.#body.size);
    await (this.#sentAs.kind === 'chunked' ? this.#sendChunk(session) : this.#sendStream(session));
  }

  async #sendStream(session: UploadSession): Promise<void> {
    // Where a session takes one PATCH, ending that for a silent hub would lose what an idle session only may.
    const idle = this.#manner.goesOn ? 'ends' : 'waits';
    await this.#append(session, this.#cursor.take(this.#body.size - session.offset, idle), undefined);
  }

  /** A chunk is gathered first, so that a slow or failing hub never leaves one unfinished. */
  async #sendChunk(session: UploadSession): Promise<void> {
    const wanted = Math.max(this.#sentAs.chunkSize, session.smallestChunk ?? 0);
    const left = this.#body.size - session.offset;
    const size = Math.min(wanted, left);
    const bytes = this.#chunk.of(size);
    await this.#cursor.gather(bytes);
    const { stop } = this.#options;
    if (stop.aborted) throw stop.reason;
    if (size === left && this.#manner.dialect.lastChunkInPut) this.#tail = bytes;
    else await this.#append(session, inPieces(bytes), size);
  }

  async #append(
    session: UploadSession,
    bytes: AsyncIterable<Uint8Array>,
    length: number | undefined,
  ): Promise<void> {
    const { onOffset, kill } = this.#options;
    let offset = session.offset;
    let complete = false;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const piece of bytes) {
        offset += piece.length;
        complete = offset - session.offset === length;
        yield piece;
        onOffset?.(offset);
      }
      complete = true;
    }
    this.#uncertain = true;
    const location = await appendUpload(this.#repository, session, counted(), length, kill);
    // An answer before the last byte leaves open which bytes it is about.
    this.#uncertain = !complete;
    // What was sent is believed, not the answer's Range: it counts from the PATCH's own start on zot, sticks on ECR.
    this.#keep({ ...session, location, offset: complete ? offset : session.offset });
    if (!complete) throw answeredEarly();
  }

  async #close(): Promise<Digest> {
    const session = this.#session;
    if (!session) throw new Error('no upload session to close');
    // Once: a hash cannot be asked twice, and a PUT may be repeated.
    this.#digest ??= this.#body.digest();
    const digest = this.#digest;
    const { kill, onSaved } = this.#options;
    await onSaved?.({ location: session.location.href, offset: session.offset, digest });
    try {
      // Without bytes of its own it leaves the session as it is, or none.
      this.#uncertain = this.#tail !== undefined;
      await closeUpload(this.#repository, session, digest, this.#tail, kill);
      if (this.#tail) this.#options.onOffset?.(this.#body.size);
    } catch (error) {
      // The answer may be lost and the blob there: look before doing it again.
      const mayBeDone =
        error instanceof BoxcarError && !(error instanceof DigestRefused) && error.code !== 'unauthorized';
      if (!mayBeDone || !(await this.#repository.hasBlob(digest, kill))) throw error;
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
    await this.#patience.wait(error, stop, await this.#learn(error));
  }

  /** @returns whether another attempt can help although the answer was final: in another manner, or in a new session. */
  async #learn({ request, code }: BoxcarError): Promise<boolean> {
    const session = this.#session;
    if (!session || !request || code === 'unauthorized') return false;
    const { method, status } = request;
    const { offset } = session;
    const sent = this.#cursor.position - offset;
    const failures = this.#patience.failures + 1;
    this.#cut = method === 'PATCH' && status === undefined;
    const failure = { method, status, offset, sent, failures, lost: this.#lost, as: this.#sentAs };
    // A HEAD that is refused says nothing about how bytes are sent.
    const changed = ['PATCH', 'PUT'].includes(method) && this.#manner.learn(failure);
    if (changed) this.#tail = undefined;
    const lost = changed || isSessionLost({ method, status, offset, failures });
    if (lost) this.#keep(undefined);
    // Of no more use, but still there; where no answer came, another request may get none either.
    if (changed && status !== undefined) await cancelUpload(this.#repository, session, this.#options.kill);
    // Not the protocol's success, or out of step: the registry is asked again what it has.
    return lost || (status !== undefined && (status < 300 || (status === 416 && offset > 0)));
  }

  async #restart(): Promise<void> {
    const session = this.#session;
    this.#keep(undefined);
    this.#digest = undefined;
    this.#tail = undefined;
    await this.#whole.leave();
    this.#cursor.close();
    if (session) await cancelUpload(this.#repository, session, this.#options.kill);
  }

  #keep(session: UploadSession | undefined): Promise<void> | undefined | void {
    this.#session = session;
    const further = (session?.offset ?? 0) - this.#furthest;
    if (session && (further >= leastProgress || (further > 0 && session.offset === this.#body.size))) {
      this.#furthest = session.offset;
      this.#patience.progress();
    }
    return this.#options.onSaved?.(session && { location: session.location.href, offset: session.offset });
  }
}

function isMismatch(error: unknown): boolean {
  return error instanceof BoxcarError && error.code === 'content-mismatch';
}

function answeredEarly(): BoxcarError {
  return new BoxcarError('the registry answered before it had every byte', {
    code: 'registry-failed',
    side: 'registry',
    transient: true,
  });
}
