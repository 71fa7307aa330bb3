import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Agent } from 'undici';
import { HttpClient } from '../../../src/http/client.ts';
import { mediaTypes } from '../../../src/oci/descriptor.ts';
import { type Digest, digestOf } from '../../../src/oci/digest.ts';
import { Authorizer } from '../../../src/registry/auth/authorizer.ts';
import { mountBlob } from '../../../src/registry/mount.ts';
import { Repository } from '../../../src/registry/repository.ts';
import { closeUpload, startUpload } from '../../../src/registry/upload-session.ts';
import { describeEachRegistry, type Registry, startRegistry } from '../../support/registries.ts';
import { inspectRegistry } from '../../support/registry-storage.ts';
import { startTokenServer, type TokenServer } from '../../support/token-server.ts';

const users = { owner: 'secret', ci: 'secret' };
const rights = { ci: { 'acme/model': ['pull', 'push'], 'acme/base': ['pull'] } };
const blob = Buffer.from('a blob');
const digest = digestOf(blob);

describeEachRegistry('an account that may not do everything', (kind) => {
  for (const overreach of ['less', 'refused'] as const) {
    const setUp = async (t: TestContext) => {
      const tokens = await startTokenServer({ users, rights, overreach });
      t.after(() => tokens.close());
      const registry = await startRegistry({ kind, auth: { token: tokens } });
      t.after(() => registry.stop());
      for (const path of ['acme/base', 'acme/secret'])
        await put(repositoryOf(t, registry, 'owner', path), blob);
      return { tokens, registry, repository: repositoryOf(t, registry, 'ci', 'acme/model') };
    };
    const lastScopes = (tokens: TokenServer) => tokens.requests.findLast(({ user }) => user === 'ci')?.scopes;

    test(`${overreach}: mounts from what it may read`, async (t) => {
      const { tokens, registry, repository } = await setUp(t);
      await repository.ping(new AbortController().signal);
      const before = tokens.issued;
      repository.alsoRead('acme/base');
      assert.equal(await mountBlob(repository, digest, 'acme/base'), true);
      assert.equal(await repository.hasBlob(digest), true);
      assert.ok(tokens.issued - before <= 2, `${tokens.issued - before} tokens`);
      assert.deepEqual(inspectRegistry(registry).blobsOf('acme/model'), [digest]);
    });

    test(`${overreach}: goes on where it may not read the source of a mount`, async (t) => {
      const { tokens, repository } = await setUp(t);
      await repository.ping(new AbortController().signal);
      const forget = repository.alsoRead('acme/secret');
      assert.equal(await mountBlob(repository, digest, 'acme/secret').catch(() => false), false);
      forget();
      const config = Buffer.from('{}');
      await put(repository, config);
      assert.equal(await repository.hasBlob(digestOf(config)), true);
      assert.deepEqual(lastScopes(tokens), ['repository:acme/model:pull,push']);
    });

    test(`${overreach}: goes on where it may not delete`, async (t) => {
      const { tokens, repository } = await setUp(t);
      const config = await put(repository, Buffer.from('{}'));
      const manifest = Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: mediaTypes.manifest,
          config: { mediaType: mediaTypes.config, digest: config, size: 2 },
          layers: [],
        }),
      );
      await repository.putManifest('v1', manifest, mediaTypes.manifest);
      assert.equal(await repository.deleteManifest('v1'), false);
      assert.equal(await repository.deleteManifest(digestOf(manifest)), false);
      assert.ok(await repository.manifest('v1'));
      await put(repository, Buffer.from('more'));
      assert.deepEqual(lastScopes(tokens), ['repository:acme/model:pull,push']);
    });
  }
});

function repositoryOf(
  t: TestContext,
  registry: Registry,
  user: keyof typeof users,
  path: string,
): Repository {
  const dispatcher = new Agent();
  t.after(() => dispatcher.destroy());
  const common = { dispatcher, stallMs: 10_000, userAgent: 'test' };
  const authorizer = new Authorizer({
    ...common,
    registry: new URL(registry.url),
    repository: path,
    credentials: { kind: 'basic', username: user, password: users[user], source: 'the test' },
  });
  const http = new HttpClient({
    ...common,
    side: 'registry',
    origin: registry.url,
    authorize: (_url, signal) => authorizer.authorize(signal),
  });
  return new Repository(path, http, authorizer, { limit: 3, baseMs: 1, onRetry: () => {} });
}

async function put(repository: Repository, bytes: Buffer): Promise<Digest> {
  await closeUpload(repository, await startUpload(repository), digestOf(bytes), bytes);
  return digestOf(bytes);
}
