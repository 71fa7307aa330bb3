import { randomUUID } from 'node:crypto';
import type { Dialect } from './dialects.ts';
import type { Exchange } from './exchange.ts';
import { reported } from './reported.ts';
import { digestOf, type Storage } from './storage.ts';

interface Session {
  repository: string;
  chunks: Buffer[];
  size: number;
  /** Counts the answers: it is in the query of the Location. */
  state: number;
  patches: number;
  firstPatch: number;
  tooSmall: boolean;
}

/** The uploads under way, and every request about them. */
export class UploadSessions {
  readonly #dialect: Dialect;
  readonly #storage: Storage;
  readonly #storageUrl: string;
  readonly #sessions = new Map<string, Session>();

  /** @param storageUrl where Locations lead that are elsewhere. */
  constructor(dialect: Dialect, storage: Storage, storageUrl: string) {
    this.#dialect = dialect;
    this.#storage = storage;
    this.#storageUrl = storageUrl;
  }

  /** Bytes of each session, of one repository or of all. */
  sizes(repository?: string): number[] {
    return [...this.#sessions.values()]
      .filter((session) => repository === undefined || session.repository === repository)
      .map(({ size }) => size);
  }

  /** POST: a session, or with `mount` and `from` the blob itself, where it can be mounted. */
  begin(exchange: Exchange, repository: string): Promise<void> {
    const dialect = this.#dialect;
    const query = new URLSearchParams(exchange.log.url.split('?')[1]);
    const digest = query.get('mount');
    const from = query.get('from');
    if (digest !== null) {
      if (dialect.mounts === 'refused') return exchange.refuse(405, 'UNSUPPORTED');
      if (from !== null && this.#mounts(from, digest)) {
        this.#storage.link(repository, digest);
        const origin = dialect.locations === 'relative' ? '' : exchange.ownOrigin;
        const location = `${origin}/v2/${repository}/blobs/${digest}`;
        return exchange.reply(201, { location, ...reported(dialect, digest) });
      }
    }
    const id = randomUUID();
    const empty = { chunks: [], size: 0, state: 0, patches: 0, firstPatch: 0, tooSmall: false };
    const session: Session = { repository, ...empty };
    this.#sessions.set(id, session);
    const minimum = dialect.chunkMinimum ? { 'oci-chunk-min-length': `${dialect.chunkMinimum}` } : {};
    const location = this.#location(exchange, id, session);
    return exchange.reply(202, { location, range: '0-0', ...minimum });
  }

  /** @param repository that the URL names; undefined on the other origin, whose URLs name none. */
  async answer(exchange: Exchange, repository: string | undefined, id: string): Promise<void> {
    const dialect = this.#dialect;
    const { method, url } = exchange.log;
    const session = this.#sessions.get(id);
    if (!session || (repository !== undefined && session.repository !== repository))
      return exchange.refuse(404, 'BLOB_UPLOAD_UNKNOWN');
    const query = /\?_state=(\d+)&sig=a%2Fb\+c~%27(?:&digest=[^&]*)?$/.exec(url)?.[1];
    if (dialect.query && query === undefined) return exchange.refuse(403, 'the query was altered');
    if (dialect.query && dialect.oldLocation === 'destroys' && Number(query) !== session.state) {
      this.#sessions.delete(id);
      return exchange.refuse(404, 'BLOB_UPLOAD_INVALID');
    }
    if (method === 'PATCH') return this.#append(exchange, id, session);
    if (method === 'PUT') return this.#finish(exchange, id, session);
    if (method === 'GET') {
      if (dialect.getStatus !== 204) return exchange.refuse(dialect.getStatus, 'UNSUPPORTED');
      const size = dialect.patchRange === 'first' ? session.firstPatch : session.size;
      return exchange.reply(204, { location: this.#location(exchange, id, session), range: range(size) });
    }
    if (!dialect.canDelete) return exchange.refuse(405, 'UNSUPPORTED');
    this.#sessions.delete(id);
    return exchange.reply(204);
  }

  #mounts(from: string, digest: string): boolean {
    const { mounts } = this.#dialect;
    const there = this.#storage.blob(from, digest) !== undefined;
    return there && (mounts === 'yes' || (mounts === 'referenced' && this.#storage.refersTo(from, digest)));
  }

  async #append(exchange: Exchange, id: string, session: Session): Promise<void> {
    const dialect = this.#dialect;
    const { 'content-range': contentRange, 'content-length': contentLength } = exchange.log.headers;
    session.patches += 1;
    if (dialect.astrayEvery && session.patches % dialect.astrayEvery === 0)
      return exchange.refuse(404, 'BLOB_UPLOAD_UNKNOWN');
    if (session.patches > dialect.patches) return exchange.refuse(400, 'BLOB_UPLOAD_INVALID');
    const unwanted = contentRange === undefined ? 'required' : 'refused';
    if (dialect.contentRange === unwanted) return exchange.refuse(400, `a Content-Range is ${unwanted}`);
    if (contentRange !== undefined) {
      const start = /^(\d+)-\d+$/.exec(contentRange)?.[1];
      if (start === undefined) return exchange.refuse(400, 'the Content-Range header format is invalid');
      if (Number(contentLength) > dialect.chunkLimit)
        return exchange.refuse(416, 'the request body is too large');
      if (Number(start) !== session.size && dialect.wrongStart === 'refused')
        return exchange.refuse(416, 'RANGE_INVALID', { range: range(session.size) });
    }
    const body = await exchange.body(dialect.bodyLimit);
    // A proxy with a limit has the whole request before it passes it on.
    if (body.end === 'too large') return;
    if (dialect.flipBytes > 0 && session.size === 0 && body.bytes[0] !== undefined) {
      body.bytes[0] ^= 1;
      dialect.flipBytes -= 1;
    }
    if (body.end === 'cut' && dialect.afterCut === 'lost') this.#sessions.delete(id);
    session.tooSmall ||= session.size > 0 && (session.chunks.at(-1)?.length ?? 0) < dialect.chunkMinimum;
    session.chunks.push(body.bytes);
    session.size += body.bytes.length;
    session.firstPatch ||= body.bytes.length;
    if (body.end === 'cut') return;
    const told = { all: session.size, first: session.firstPatch, own: body.bytes.length };
    const next = this.#location(exchange, id, session);
    return exchange.reply(dialect.patchStatus, {
      ...(dialect.patchLocation ? { location: next } : {}),
      range: range(told[dialect.patchRange]),
    });
  }

  async #finish(exchange: Exchange, id: string, session: Session): Promise<void> {
    const dialect = this.#dialect;
    const digest = decodeURIComponent(/[?&]digest=([^&]+)/.exec(exchange.log.url)?.[1] ?? '');
    const start = /^(\d+)-\d+$/.exec(exchange.log.headers['content-range'] ?? '')?.[1];
    if (start !== undefined && Number(start) !== session.size)
      return exchange.refuse(416, 'RANGE_INVALID', { range: range(session.size) });
    const body = await exchange.body(dialect.bodyLimit);
    if (body.end !== 'whole') return;
    const bytes = Buffer.concat([...session.chunks, body.bytes]);
    const smallest = session.chunks.some(({ length }) => length < dialect.partMinimum) && session.patches > 1;
    if (session.tooSmall || smallest) return exchange.refuse(400, 'SIZE_INVALID');
    const empty = body.bytes.length === 0 && session.patches > 1;
    if (empty && dialect.closeAfterParts === 'status 500') return exchange.refuse(500, 'INTERNAL');
    if (digest !== digestOf(bytes) || dialect.refuseDigests > 0) {
      dialect.refuseDigests -= 1;
      return exchange.refuse(400, 'DIGEST_INVALID');
    }
    this.#sessions.delete(id);
    this.#storage.add(session.repository, digest, bytes);
    if (empty && dialect.closeAfterParts === 'status 500, stored') return exchange.refuse(500, 'INTERNAL');
    return exchange.reply(dialect.closeStatus, reported(dialect, digest));
  }

  #location(exchange: Exchange, id: string, session: Session): string {
    const { locations, query } = this.#dialect;
    session.state += 1;
    const path = locations === 'elsewhere' ? `/put/${id}` : `/v2/${session.repository}/blobs/uploads/${id}`;
    const origin = { absolute: exchange.ownOrigin, relative: '', elsewhere: this.#storageUrl }[locations];
    // As a signed query may look: writing it anew would change it.
    return `${origin}${path}${query ? `?_state=${session.state}&sig=a%2Fb+c~%27` : ''}`;
  }
}

/** Distribution's form; `0-0` also where there is nothing. */
function range(size: number): string {
  return `0-${Math.max(0, size - 1)}`;
}
