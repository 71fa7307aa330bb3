import type { TestContext } from 'node:test';
import type { ContentId } from '../../src/digest/content-id.ts';
import type { PatienceOptions, RetryNotice } from '../../src/http/retry.ts';
import { FileReader } from '../../src/hub/file-reader.ts';
import type { Hub } from '../../src/hub/hub.ts';
import type { ModelFile } from '../../src/hub/model-file.ts';
import { PrefetchBudget } from '../../src/hub/prefetch.ts';
import { clientFor, socketsFor } from '../http/clients.ts';
import { virtualContent, virtualSha256 } from '../support/hub/content.ts';
import { type HubOptions, type HubRequest, startHub, type Hub as TestHub } from '../support/hub.ts';
import { commitId, oneCommit } from '../support/models.ts';

export const mib = 1024 * 1024;

/** Our view of a hub, as publish/ makes it. */
export function hubAt(
  t: TestContext,
  endpoint: string,
  options: { token?: string; stallMs?: number; patience?: Partial<PatienceOptions> } = {},
): Hub {
  const { token, stallMs = 10_000, patience } = options;
  const authorize = () => (token === undefined ? undefined : `Bearer ${token}`);
  return {
    endpoint,
    http: clientFor(t, new URL(endpoint).origin, { authorize, stallMs, sockets: socketsFor(t) }),
    hasToken: token !== undefined,
    patience: { limit: 3, baseMs: 1, ...patience },
  };
}

export async function startTestHub(t: TestContext, options: HubOptions): Promise<TestHub> {
  const hub = await startHub(options);
  t.after(() => hub.close());
  return hub;
}

export interface ReaderSetup {
  server: TestHub;
  reader: FileReader;
  file: ModelFile;
  /** What the file's bytes are. */
  truth: Buffer;
  /** Every retry so far. */
  retries: RetryNotice[];
  /** GETs of one origin so far. */
  asked(origin: 'hub' | 'cdn'): HubRequest[];
}

export interface ReaderOptions extends Partial<HubOptions> {
  size?: number;
  path?: string;
  /** Default: the file is in LFS. */
  lfs?: boolean;
  stallMs?: number;
  limit?: number;
  token?: string;
}

/** Six windows of the smallest kind. */
const size = 5 * mib + 20_333;

/** A hub with one large file, and a reader of it. */
export async function readerFor(t: TestContext, options: ReaderOptions = {}): Promise<ReaderSetup> {
  const { path = 'weights.bin', stallMs, limit = 3, ...hubOptions } = options;
  const spec = { size: options.size ?? size, seed: 1, lfs: options.lfs ?? true };
  const server = await startTestHub(t, { models: [oneCommit('acme/one', { [path]: spec })], ...hubOptions });
  const truth = virtualContent(spec.size, spec.seed).read(0, spec.size);
  const contentId: ContentId = `sha256:${virtualSha256(spec.size, spec.seed)}`;
  const file: ModelFile = { path, size: spec.size, contentId };
  const retries: RetryNotice[] = [];
  const patience = { limit, baseMs: 1, onRetry: (notice: RetryNotice) => retries.push(notice) };
  const hub = hubAt(t, server.url, {
    patience,
    ...(stallMs === undefined ? {} : { stallMs }),
    ...(options.token === undefined ? {} : { token: options.token }),
  });
  const about = { model: 'acme/one', commit: commitId('acme/one 1') };
  const reader = new FileReader(hub, about, file, new PrefetchBudget(64 * mib));
  const asked = (origin: 'hub' | 'cdn') => server.requests.filter((request) => request.origin === origin);
  return { server, reader, file, truth, retries, asked };
}

/** All that a reader gives; its pieces are valid until the next one is asked for. */
export async function readAll(reader: FileReader, from = 0, signal?: AbortSignal): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of reader.open(from, signal)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** Yields to the loop until it holds; gives up after ten seconds. */
export async function until(condition: () => boolean): Promise<void> {
  const started = performance.now();
  while (!condition()) {
    if (performance.now() - started > 10_000) throw new Error(`waited in vain: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
