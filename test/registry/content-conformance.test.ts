import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { BoxcarError } from '../../src/errors.ts';
import { type Dialect, type DialectName, dialects, startFakeRegistry } from '../support/fake-registry.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { describeEachRegistry, type RegistryKind, startRegistry } from '../support/registries.ts';
import { addTags, forgetBlob, inspectRegistry } from '../support/registry-storage.ts';
import { type ContentExpectation, type ContentSubject, contentConformance } from './content-conformance.ts';
import { manifestType, repositoryAt } from './setup.ts';

const usual: ContentExpectation = {
  mounts: 'mounts',
  tagPages: 2,
  deletes: 'tags and digests',
  blobs: 'here',
};
const distribution28: ContentExpectation = { ...usual, tagPages: 1, deletes: 'digests' };

/** Said once more than in the dialects, as what a client meets. */
const expectations: Partial<Record<DialectName, ContentExpectation>> = {
  distribution3: usual,
  distribution28,
  zot: usual,
  ecr: { ...usual, mounts: 'falls back', blobs: 'elsewhere' },
  ghcr: { ...usual, tagPages: 11, deletes: 'refused', blobs: 'elsewhere' },
  gar: { ...usual, deletes: 'untagged digests', blobs: 'elsewhere' },
  acr: { ...usual, tagPages: 11, deletes: 'digests', blobs: 'elsewhere' },
  quay: { ...usual, tagPages: 11, blobs: 'elsewhere' },
};

async function fake(t: TestContext, name: DialectName, changes?: Partial<Dialect>): Promise<ContentSubject> {
  const registry = await startFakeRegistry(name, changes);
  t.after(() => registry.close());
  return {
    url: registry.url,
    exchanges: newOnes(() => registry.exchanges()),
    uploads: (repository) => registry.uploads(repository).length,
    blobsOf: registry.blobsOf,
    forget: registry.forget,
    addTags(repository, digest, tags) {
      const manifest = registry.manifests.get(`${repository}@${digest}`);
      if (!manifest) throw new Error(`no manifest ${digest}`);
      for (const tag of tags) registry.manifests.set(`${repository}:${tag}`, manifest);
    },
  };
}

for (const name of Object.keys(dialects) as DialectName[]) {
  const expected = expectations[name];
  if (expected) contentConformance(`the fake as ${name}`, expected, (t) => fake(t, name));
}

const ecrMounting = { mounts: 'referenced' } as const;
contentConformance('the fake as ecr with blob mounting', { ...usual, blobs: 'elsewhere' }, (t) =>
  fake(t, 'ecr', ecrMounting),
);
const nothing = { mounts: 'refused', tagsList: 'refused', deletes: 'refused', blobRanges: false } as const;
contentConformance(
  'the fake that does nothing it need not',
  { ...usual, mounts: 'refuses', tagPages: 0, deletes: 'refused' },
  (t) => fake(t, 'distribution3', nothing),
);

const real: Record<RegistryKind, ContentExpectation> = {
  'distribution-2': distribution28,
  'distribution-3': usual,
};

describeEachRegistry('the registry client', (kind) => {
  for (const deletes of [true, false]) {
    const expected = deletes ? real[kind] : { ...real[kind], deletes: 'refused' as const };
    contentConformance(`the real ${kind}${deletes ? '' : ', deletion disabled'}`, expected, async (t) => {
      const registry = await startRegistry({ kind, delete: deletes });
      t.after(() => registry.stop());
      const proxy = await startFaultProxy(registry.url);
      t.after(() => proxy.close());
      const inside = inspectRegistry(registry);
      const folder = join(registry.storageDir, 'docker/registry/v2/repositories');
      return {
        url: proxy.url,
        exchanges: newOnes(() => proxy.requests.map(({ method, status }) => `${method} ${status}`)),
        // A cancelled upload leaves its folder behind, without its bytes.
        uploads: (repository) =>
          inside
            .uploads(repository)
            .filter((id) => existsSync(join(folder, repository, '_uploads', id, 'startedat'))).length,
        blobsOf: inside.blobsOf,
        forget: (repository, digest) => forgetBlob(registry, repository, digest),
        addTags: (repository, digest, tags) => addTags(registry, repository, digest, tags),
      };
    });
  }
});

function newOnes(all: () => string[]): () => string[] {
  let seen = 0;
  return () => {
    const fresh = all().slice(seen);
    seen += fresh.length;
    return fresh;
  };
}

test('immutable tags: the same bytes are taken again, others are refused with the reason', async (t) => {
  const registry = await startFakeRegistry('ecr', { immutableTags: true });
  t.after(() => registry.close());
  const repository = repositoryAt(t, registry.url);
  const [one, two] = ['1', '2'].map((version) =>
    Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: manifestType, layers: [], annotations: { version } }),
    ),
  ) as [Buffer, Buffer];
  await repository.putManifest('v1', one, manifestType);
  await repository.putManifest('v1', one, manifestType);
  await assert.rejects(repository.putManifest('v1', two, manifestType), (error: BoxcarError) => {
    assert.match(error.request?.answer ?? '', /TAG_INVALID.*'v1'.*cannot be overwritten.*immutable/);
    return true;
  });
  assert.ok((await repository.manifest('v1'))?.bytes.equals(one));
  await repository.putManifest('v2', two, manifestType);
  assert.equal(await repository.deleteManifest('v1'), true);
  await repository.putManifest('v1', two, manifestType);
  assert.deepEqual(registry.exchanges('PUT'), ['PUT 201', 'PUT 201', 'PUT 400', 'PUT 201', 'PUT 201']);
});
