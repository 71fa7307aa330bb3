import type { IncomingMessage, ServerResponse } from 'node:http';
import { blob, storedObject } from './fake-registry/blobs.ts';
import { type Dialect, type DialectName, dialects } from './fake-registry/dialects.ts';
import { Exchange, type FakeFault, type FakeRequest } from './fake-registry/exchange.ts';
import { manifest } from './fake-registry/manifests.ts';
import { Storage, type StoredManifest } from './fake-registry/storage.ts';
import { tagList } from './fake-registry/tag-list.ts';
import { UploadSessions } from './fake-registry/upload-sessions.ts';
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
  /** Of all repositories. One that is taken out is gone from every one of them. */
  blobs: Map<string, Buffer>;
  /** Digests of the blobs that are in a repository, sorted. */
  blobsOf(repository: string): string[];
  /** By `repository:tag` and `repository@digest`. */
  manifests: Map<string, StoredManifest>;
  /** Collects a blob of a repository as garbage, whatever refers to it. */
  forget(repository: string, digest: string): void;
  /** Bytes of each upload that was begun and neither finished nor cancelled, in one repository or in all. */
  uploads(repository?: string): number[];
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

/** A registry in memory on loopback whose dialect is data: a preset, or a preset with other fields. */
export async function startFakeRegistry(
  name: DialectName,
  changes: Partial<Dialect> = {},
  tls?: ServerIdentity,
): Promise<FakeRegistry> {
  const dialect: Dialect = { ...dialects[name], ...changes };
  const waiting = new Set<() => void>();
  const main = await listen((incoming, response) => answer('registry', incoming, response), tls);
  const objects = await listen((incoming, response) => answer('storage', incoming, response), tls);
  const storage = new Storage();
  const sessions = new UploadSessions(dialect, storage, objects.url);
  const parts = { dialect, storage, storageUrl: objects.url };
  const close = async (): Promise<void> => {
    await Promise.all([main.close(), objects.close()]);
  };
  const bytesSent = () => sum(registry.requests.filter(({ path }) => !path.includes('/manifests/')));
  const registry: FakeRegistry = {
    url: main.url,
    host: `127.0.0.1:${main.port}`,
    dialect,
    requests: [],
    faults: [],
    blobs: storage.blobs,
    blobsOf: (repository) => storage.blobsOf(repository),
    manifests: storage.manifests,
    forget: (repository, digest) => storage.forget(repository, digest),
    uploads: (repository) => sessions.sizes(repository),
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
    const log: FakeRequest = {
      origin,
      method,
      path,
      url,
      headers,
      requestBytes: 0,
      responseBytes: 0,
      status: 0,
    };
    registry.requests.push(log);
    const exchange = new Exchange(incoming, response, log, () => {
      for (const look of waiting) look();
    });
    const fault = takeFault(registry.faults, log);
    if (fault?.kind === 'answer') return exchange.script(fault);
    exchange.fault = fault;
    return origin === 'registry' ? ofRegistry(exchange) : ofStorage(exchange);
  }

  function ofRegistry(exchange: Exchange): Promise<void> {
    const { path, method, headers } = exchange.log;
    if (registry.authorization && headers.authorization !== registry.authorization)
      return exchange.refuse(401, 'UNAUTHORIZED', { 'www-authenticate': `Bearer realm="${main.url}/token"` });
    if (path === '/v2/') return exchange.reply(200);
    const [, repository = '', kind, rest = ''] =
      /^\/v2\/(.+)\/(blobs|manifests|tags)\/(.*)$/.exec(path) ?? [];
    if (kind === 'manifests') return manifest(exchange, repository, rest, parts);
    if (kind === 'tags' && rest === 'list') return tagList(exchange, repository, parts);
    if (kind !== 'blobs') return exchange.refuse(404, 'NAME_UNKNOWN');
    const [uploads, upload = ''] = rest.split('/');
    if (uploads !== 'uploads') return blob(exchange, repository, rest, parts);
    if (upload !== '') return sessions.answer(exchange, repository, upload);
    return method === 'POST' ? sessions.begin(exchange, repository) : exchange.refuse(405, 'UNSUPPORTED');
  }

  /** The other origin, standing for an object store. */
  function ofStorage(exchange: Exchange): Promise<void> {
    const { path, headers } = exchange.log;
    if (headers.authorization) return exchange.refuse(400, 'only one auth mechanism allowed');
    const [, kind, name = ''] = /^\/(put|blob)\/([^/]+)$/.exec(path) ?? [];
    if (kind === 'put') return sessions.answer(exchange, undefined, name);
    return kind === 'blob' ? storedObject(exchange, name, parts) : exchange.refuse(404, 'NoSuchKey');
  }
}

function sum(requests: FakeRequest[]): number {
  return requests.reduce((total, { requestBytes }) => total + requestBytes, 0);
}
