import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Dialect, type DialectName, dialects } from './fake-registry/dialects.ts';
import { Exchange, type FakeFault, type FakeRequest } from './fake-registry/exchange.ts';
import { type Fault, takeFault } from './faults.ts';
import { headerRecord, listen, type ServerIdentity } from './listen.ts';

export { type Dialect, type DialectName, dialects } from './fake-registry/dialects.ts';
export type { FakeFault, FakeRequest } from './fake-registry/exchange.ts';

export interface FakeRegistry extends AsyncDisposable {
  url: string;
  host: string;
  dialect: Dialect;
  requests: FakeRequest[];
  faults: Fault<FakeRequest, FakeFault>[];
  blobs: Map<string, Buffer>;
  /** By `repository:tag` and `repository@digest`. */
  manifests: Map<string, { bytes: Buffer; mediaType: string }>;
  /** Bytes of each upload that was begun and neither finished nor cancelled. */
  uploads(): number[];
  /** Resolves once so many bytes of PATCHes have come; at once where they have already. */
  received(bytes: number): Promise<void>;
  /** Bytes of all PATCHes and closing PUTs. */
  bytesSent(): number;
  /** `METHOD status` of every request so far. */
  exchanges(method?: string): string[];
  /** The only Authorization that is not answered 401; undefined: none is asked for. */
  authorization: string | undefined;
  close(): Promise<void>;
}

interface Session {
  chunks: Buffer[];
  size: number;
  /** Counts the answers: it is in the query of the Location. */
  state: number;
  patches: number;
  firstPatch: number;
  tooSmall: boolean;
}

/** A registry in memory on loopback whose dialect is data: a preset, or a preset with other fields. */
export async function startFakeRegistry(
  name: DialectName,
  changes: Partial<Dialect> = {},
  tls?: ServerIdentity,
): Promise<FakeRegistry> {
  const dialect: Dialect = { ...dialects[name], ...changes };
  const sessions = new Map<string, Session>();
  const waiting = new Set<() => void>();
  const main = await listen((incoming, response) => answer('registry', incoming, response), tls);
  const storage = await listen((incoming, response) => answer('storage', incoming, response), tls);
  const close = async (): Promise<void> => {
    await Promise.all([main.close(), storage.close()]);
  };
  const bytesSent = () => sum(registry.requests.filter(({ path }) => !path.includes('/manifests/')));
  const registry: FakeRegistry = {
    url: main.url,
    host: `127.0.0.1:${main.port}`,
    dialect,
    requests: [],
    faults: [],
    blobs: new Map(),
    manifests: new Map(),
    uploads: () => [...sessions.values()].map(({ size }) => size),
    bytesSent,
    received: (bytes) =>
      new Promise((resolve) => {
        const look = () => {
          if (bytesSent() < bytes) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    exchanges: (method) =>
      registry.requests
        .filter((request) => method === undefined || request.method === method)
        .map((request) => `${request.method} ${request.status}`),
    authorization: undefined,
    close,
    [Symbol.asyncDispose]: close,
  };
  return registry;

  async function answer(
    origin: FakeRequest['origin'],
    incoming: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const url = incoming.url ?? '/';
    const path = decodeURIComponent(url.split('?')[0] ?? '');
    const method = incoming.method ?? '';
    const headers = headerRecord(incoming);
    const log: FakeRequest = { origin, method, path, url, headers, requestBytes: 0, status: 0 };
    registry.requests.push(log);
    const exchange = new Exchange(incoming, response, log, () => {
      for (const look of waiting) look();
    });
    const fault = takeFault(registry.faults, log);
    if (fault?.kind === 'answer') return exchange.script(fault);
    exchange.fault = fault;
    if (origin === 'registry' && registry.authorization && headers.authorization !== registry.authorization) {
      return exchange.refuse(401, 'UNAUTHORIZED', { 'www-authenticate': `Bearer realm="${main.url}/token"` });
    }
    if (origin === 'storage' && headers.authorization)
      return exchange.refuse(400, 'only one auth mechanism allowed');
    const upload = /^\/(?:v2\/.+\/blobs\/uploads|put)\/([^/]+)$/.exec(path)?.[1];
    const [, repository = '', reference = ''] = /^\/v2\/(.+)\/(?:blobs|manifests)\/(.*)$/.exec(path) ?? [];
    if (path === '/v2/') return exchange.reply(200);
    if (upload) return onUpload(exchange, upload);
    if (method === 'POST') return begin(exchange);
    if (path.includes('/manifests/')) return onManifest(exchange, repository, reference);
    return onBlob(exchange, reference);
  }

  function begin(exchange: Exchange): Promise<void> {
    const id = randomUUID();
    sessions.set(id, { chunks: [], size: 0, state: 0, patches: 0, firstPatch: 0, tooSmall: false });
    const minimum = dialect.chunkMinimum ? { 'oci-chunk-min-length': `${dialect.chunkMinimum}` } : {};
    return exchange.reply(202, { location: location(exchange, id), range: '0-0', ...minimum });
  }

  async function onUpload(exchange: Exchange, id: string): Promise<void> {
    const { method, url } = exchange.log;
    const session = sessions.get(id);
    if (!session) return exchange.refuse(404, 'BLOB_UPLOAD_UNKNOWN');
    const query = /\?_state=(\d+)&sig=a%2Fb\+c~%27(?:&digest=[^&]*)?$/.exec(url)?.[1];
    if (dialect.query && query === undefined) return exchange.refuse(403, 'the query was altered');
    if (dialect.query && dialect.oldLocation === 'destroys' && Number(query) !== session.state) {
      sessions.delete(id);
      return exchange.refuse(404, 'BLOB_UPLOAD_INVALID');
    }
    if (method === 'PATCH') return append(exchange, id, session);
    if (method === 'PUT') return finish(exchange, id, session);
    if (method === 'GET') {
      if (dialect.getStatus !== 204) return exchange.refuse(dialect.getStatus, 'UNSUPPORTED');
      const size = dialect.patchRange === 'first' ? session.firstPatch : session.size;
      return exchange.reply(204, { location: location(exchange, id), range: range(size) });
    }
    if (!dialect.canDelete) return exchange.refuse(405, 'UNSUPPORTED');
    sessions.delete(id);
    return exchange.reply(204);
  }

  async function append(exchange: Exchange, id: string, session: Session): Promise<void> {
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
    if (body.end === 'cut' && dialect.afterCut === 'lost') sessions.delete(id);
    session.tooSmall ||= session.size > 0 && (session.chunks.at(-1)?.length ?? 0) < dialect.chunkMinimum;
    session.chunks.push(body.bytes);
    session.size += body.bytes.length;
    session.firstPatch ||= body.bytes.length;
    if (body.end === 'cut') return;
    const told = { all: session.size, first: session.firstPatch, own: body.bytes.length };
    const next = location(exchange, id);
    return exchange.reply(dialect.patchStatus, {
      ...(dialect.patchLocation ? { location: next } : {}),
      range: range(told[dialect.patchRange]),
    });
  }

  async function finish(exchange: Exchange, id: string, session: Session): Promise<void> {
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
    sessions.delete(id);
    registry.blobs.set(digest, bytes);
    if (empty && dialect.closeAfterParts === 'status 500, stored') return exchange.refuse(500, 'INTERNAL');
    return exchange.reply(dialect.closeStatus, reported(digest));
  }

  async function onManifest(exchange: Exchange, repository: string, reference: string): Promise<void> {
    const key = `${repository}${reference.startsWith('sha256:') ? '@' : ':'}${reference}`;
    if (exchange.log.method !== 'PUT') {
      const there = registry.manifests.get(key);
      if (!there) return exchange.refuse(404, 'MANIFEST_UNKNOWN');
      return exchange.reply(200, { 'content-type': there.mediaType }, there.bytes);
    }
    const { bytes } = await exchange.body(dialect.bodyLimit);
    const named = reference.startsWith('sha256:') ? reference : digestOf(bytes);
    if (named !== digestOf(bytes)) return exchange.refuse(400, 'DIGEST_INVALID');
    if (blobsOf(bytes).some((digest) => !registry.blobs.has(digest)))
      return exchange.refuse(404, 'MANIFEST_BLOB_UNKNOWN');
    const stored = { bytes, mediaType: exchange.log.headers['content-type'] ?? '' };
    registry.manifests.set(key, stored).set(`${repository}@${digestOf(bytes)}`, stored);
    return exchange.reply(201, reported(digestOf(bytes)));
  }

  async function onBlob(exchange: Exchange, digest: string): Promise<void> {
    const blob = registry.blobs.get(digest);
    if (!blob) return exchange.refuse(404, 'BLOB_UNKNOWN');
    if (dialect.headBlob === 307) return exchange.reply(307, { location: `${storage.url}/blob/${digest}` });
    return exchange.reply(200, { 'content-length': `${blob.length}` });
  }

  function location(exchange: Exchange, id: string): string {
    const session = sessions.get(id);
    if (session) session.state += 1;
    const path = dialect.locations === 'elsewhere' ? `/put/${id}` : `/v2/acme/x/blobs/uploads/${id}`;
    // As a signed query may look: writing it anew would change it.
    const query = dialect.query ? `?_state=${session?.state}&sig=a%2Fb+c~%27` : '';
    const own = `http${tls ? 's' : ''}://${exchange.log.headers.host}`;
    const origin = { absolute: own, relative: '', elsewhere: storage.url }[dialect.locations];
    return `${origin}${path}${query}`;
  }

  function reported(digest: string): Record<string, string> {
    if (dialect.reportedDigest === 'none') return {};
    const other = digestOf(Buffer.from('something else'));
    return { 'docker-content-digest': dialect.reportedDigest === 'right' ? digest : other };
  }
}

/** Digests of the blobs that a manifest needs. */
function blobsOf(manifest: Buffer): string[] {
  const { config, layers = [] } = JSON.parse(manifest.toString());
  return [config, ...layers].flatMap((descriptor) => (descriptor ? [descriptor.digest] : []));
}

function sum(requests: FakeRequest[]): number {
  return requests.reduce((total, { requestBytes }) => total + requestBytes, 0);
}

/** Distribution's form; `0-0` also where there is nothing. */
function range(size: number): string {
  return `0-${Math.max(0, size - 1)}`;
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
