import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Dialect, dialectNamed } from '../../src/registry/dialects.ts';
import { type DialectName, dialects, startFakeRegistry } from '../support/fake-registry.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { describeEachRegistry, type RegistryKind, startRegistry } from '../support/registries.ts';
import { inspectRegistry } from '../support/registry-storage.ts';
import { conformance, type Expectation, type Subject } from './conformance.ts';
import { mib } from './setup.ts';

const usual: Expectation = {
  stream: 'arrives',
  chunked: 'arrives',
  afterStop: 'goes on',
  afterCut: 'goes on',
  query: true,
  outOfStep: 'refused',
};

/** What is impossible where, said once (registries.md has the reasons). */
const expectations: Record<DialectName, Expectation> = {
  distribution3: usual,
  distribution28: { ...usual, afterCut: 'starts again', outOfStep: 'appended' },
  zot: { ...usual, afterCut: 'starts again', query: false },
  // It may not close what came in several PATCHes.
  ecr: { ...usual, chunked: 'impossible', afterStop: 'starts again', afterCut: 'starts again' },
  ghcr: { ...usual, afterCut: 'starts again', query: false },
  // One PATCH a session, and no word about how far it is.
  gar: { ...usual, chunked: 'impossible', afterStop: 'starts again', afterCut: 'starts again' },
  acr: usual,
  quay: { ...usual, query: false },
  // The proxy before it limits the size of a request.
  cloudflare: { ...usual, stream: 'impossible' },
  cloudflareReset: { ...usual, stream: 'impossible' },
  // The second PATCH of a session goes astray.
  balancer: { ...usual, chunked: 'impossible', afterStop: 'starts again', afterCut: 'starts again' },
};

/** What is possible where the dialect is known; the fakes' parts and bodies are smaller than the real ones'. */
const known: Partial<Record<DialectName, { dialect: Dialect; expected: Expectation }>> = {
  ecr: {
    dialect: { ...dialectNamed('ecr').dialect, smallestChunk: mib },
    expected: usual,
  },
  ghcr: { dialect: dialectNamed('ghcr').dialect, expected: expectations.ghcr },
  gar: { dialect: dialectNamed('gar').dialect, expected: expectations.gar },
  acr: { dialect: dialectNamed('acr').dialect, expected: expectations.acr },
  quay: { dialect: dialectNamed('quay').dialect, expected: expectations.quay },
  cloudflare: { dialect: dialectNamed('cloudflare').dialect, expected: expectations.cloudflare },
  cloudflareReset: { dialect: dialectNamed('cloudflare').dialect, expected: expectations.cloudflareReset },
  balancer: { dialect: dialectNamed('balancer').dialect, expected: expectations.balancer },
};

for (const name of Object.keys(dialects) as DialectName[]) {
  const start = async (t: TestContext): Promise<Subject> => {
    const registry = await startFakeRegistry(name);
    t.after(() => registry.close());
    return {
      url: registry.url,
      cutPatch: (after) => {
        registry.faults.push({ match: { method: 'PATCH' }, action: { kind: 'cut', after } });
      },
      bytesSent: registry.bytesSent,
      closings: () => registry.requests.filter(({ method }) => method === 'PUT').map(({ url }) => url),
      blob: (digest) => registry.blobs.get(digest),
      uploads: () => registry.uploads().length,
      refusals: () => refusals(registry.requests),
    };
  };
  conformance(`the fake as ${name}`, expectations[name], start);
  const dialect = known[name];
  if (dialect) conformance(`the fake as ${name}, known`, dialect.expected, start, dialect.dialect);
}

function refusals(requests: { method: string; status: number }[]): string[] {
  return requests
    .filter(({ method, status }) => !['HEAD', 'GET'].includes(method) && (status >= 400 || status === 0))
    .map(({ method, status }) => `${method} ${status}`);
}

const real: Record<RegistryKind, Expectation> = {
  'distribution-2': expectations.distribution28,
  'distribution-3': expectations.distribution3,
};

describeEachRegistry('the registry client', (kind) => {
  conformance(`the real ${kind}`, real[kind], async (t) => {
    const registry = await startRegistry({ kind });
    t.after(() => registry.stop());
    const proxy = await startFaultProxy(registry.url);
    t.after(() => proxy.close());
    const inside = inspectRegistry(registry);
    const folder = join(registry.storageDir, 'docker/registry/v2/repositories/acme/x/_uploads');
    const of = (method: string) => proxy.requests.filter((request) => request.method === method);
    return {
      url: proxy.url,
      cutPatch: (after) => {
        proxy.faults.push({ match: { method: 'PATCH' }, action: { kind: 'cut', after } });
      },
      // A PATCH that is out of step (416) is refused with its bytes: distribution 3 may still be busy with a cut one.
      bytesSent: () =>
        [...of('PATCH'), ...of('PUT')].reduce(
          (sum, { requestBytes, status }) => sum + (status === 416 ? 0 : requestBytes),
          0,
        ),
      closings: () => of('PUT').map(({ url }) => url),
      refusals: () => refusals(proxy.requests),
      blob: (digest) => {
        if (!inside.blobs().includes(digest)) return undefined;
        return inside.blob(digest);
      },
      // A cancelled upload leaves its folder behind, without its bytes.
      uploads: () => inside.uploads('acme/x').filter((id) => existsSync(join(folder, id, 'data'))).length,
    };
  });
});
