import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { PushOptions } from '../../../src/publish/options.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { knownPassword } from '../../support/htpasswd.ts';
import { headOf, manyFiles, tinyModel } from '../../support/models.ts';
import {
  describeEachRegistry,
  kindsInShort,
  type RegistryOptions,
  startRegistry,
} from '../../support/registries.ts';
import { forgetBlob, inspectRegistry } from '../../support/registry-storage.ts';
import { needsOpenssl, temporaryAuthority } from '../../support/tls.ts';
import { startTokenServer } from '../../support/token-server.ts';
import { foreseenImage } from './foreseen-image.ts';
import { asked, type Fresh, freshPush } from './fresh-runner.ts';
import { fakeParties, realParties } from './parties.ts';

const tiny = tinyModel();
const sixty = manyFiles(60);
const gated = { ...tinyModel('acme/gated'), gated: 'manual' as const };
const password = { OCI_USERNAME: 'ci', OCI_PASSWORD: knownPassword };

/** Nothing was changed: the contract of a scheduled job that finds nothing to do. */
function assertIdle({ result, hubRequests, hubBytes, registryRequests }: Fresh, digest: string): void {
  assert.equal(result.manifestDigest, digest);
  assert.deepEqual([result.totals.bytesSent, result.totals.bytesRead, hubBytes], [0, 0, 0]);
  assert.ok(registryRequests.length <= 3, lines(registryRequests));
  assert.ok(hubRequests.length <= 4, lines(hubRequests));
  assert.equal(asked(registryRequests, 'POST', /./), 0);
}

function lines(requests: { method: string; path: string; status: number }[]): string {
  return requests.map(({ method, path, status }) => `${method} ${path} ${status}`).join('\n');
}

describeEachRegistry(
  'nothing has changed',
  (kind) => {
    const parties = realParties(kind, { models: [tiny, sixty] });

    for (const [model, layers] of [
      [tiny, 9],
      [sixty, 60],
    ] as const)
      test(`${layers} layers: two requests to each side`, async () => {
        const first = await freshPush(parties, model.name, `same/${layers}`, { alsoTags: ['latest'] });
        assert.equal(first.result.totals.transferred, layers);
        const second = await freshPush(parties, model.name, `same/${layers}`);
        assertIdle(second, first.result.manifestDigest);
        assert.deepEqual([second.registryRequests.length, second.hubRequests.length], [2, 2]);
        const tagged = await freshPush(parties, model.name, `same/${layers}`, { alsoTags: ['latest'] });
        assertIdle(tagged, first.result.manifestDigest);
        assert.equal(tagged.reused.length, layers);
      });

    /** The same with a registry of its own, which wants to know who comes. */
    async function twice(
      t: TestContext,
      auth: RegistryOptions['auth'],
      options: Omit<Partial<PushOptions>, 'shard'>,
    ) {
      const own = await startRegistry({ kind, ...(auth ? { auth } : {}) });
      const before = await startFaultProxy(own.url);
      t.after(() => Promise.all([before.close(), own.stop()]));
      const counted = { hub: parties.hub, registry: before };
      const first = await freshPush(counted, tiny.name, 'same', { ...options, alsoTags: ['latest'] });
      return {
        digest: first.result.manifestDigest,
        again: (more = {}) => freshPush(counted, tiny.name, 'same', { ...options, ...more }),
      };
    }

    test('with a password', async (t) => {
      const { digest, again } = await twice(t, { htpasswd: { ci: knownPassword } }, { env: password });
      assertIdle(await again(), digest);
      assertIdle(await again({ alsoTags: ['latest'] }), digest);
    });

    test('with a token server, which is asked once', async (t) => {
      const tokens = await startTokenServer({ users: { ci: knownPassword } });
      t.after(() => tokens.close());
      const { digest, again } = await twice(t, { token: tokens }, { env: password });
      const issued = tokens.issued;
      assertIdle(await again(), digest);
      assert.equal(tokens.issued - issued, 1);
      assertIdle(await again({ alsoTags: ['latest'] }), digest);
    });

    test('--check asks for every blob, and brings back those that are gone', async () => {
      const repository = 'same/checked';
      const first = await freshPush(parties, tiny.name, repository);
      const checked = await freshPush(parties, tiny.name, repository, { check: true });
      assert.equal(asked(checked.registryRequests, 'HEAD', /\/blobs\//), 10);
      assert.deepEqual([checked.result.totals.reused, checked.hubBytes], [9, 0]);
      const gone = first.result.layers.filter(({ path }) => /config\.json|00001-of/.test(path));
      assert.equal(gone.length, 2);
      for (const { digest } of gone) forgetBlob(parties.real, repository, digest);
      const unchecked = await freshPush(parties, tiny.name, repository);
      assert.equal(unchecked.result.totals.reused, 9);
      // The registry itself tells where a tag is to be added.
      await assert.rejects(freshPush(parties, tiny.name, repository, { alsoTags: ['latest'] }), {
        code: 'registry-failed',
        hint: /has lost layers: the same command with --check/,
      });
      const mended = await freshPush(parties, tiny.name, repository, { check: true });
      assert.deepEqual(
        mended.transferred,
        gone.map(({ path }) => path),
      );
      assert.equal(mended.result.manifestDigest, first.result.manifestDigest);
      const held = inspectRegistry(parties.real).blobsOf(repository);
      for (const { digest } of gone) assert.ok(held.includes(digest));
      // The tag points there already: where tags are immutable a second PUT would be refused.
      assert.equal(asked(mended.registryRequests, 'PUT', /manifests/), 0);
    });
  },
  kindsInShort,
);

describe('nothing has changed', () => {
  test('over TLS on loopback', needsOpenssl, async (t) => {
    const { server, caFile } = await temporaryAuthority();
    const { hub, registry } = await fakeParties(t, { models: [tiny] }, {}, server);
    const options = { env: { SSL_CERT_FILE: caFile } };
    const first = await freshPush({ hub, registry }, tiny.name, 'acme/x', options);
    assertIdle(await freshPush({ hub, registry }, tiny.name, 'acme/x', options), first.result.manifestDigest);
  });

  test('of a gated model: no file is asked for, and one where something must be read', async (t) => {
    const access = { token: 'hf_good', strangerToken: 'hf_stranger', anonymous: true };
    const { hub, registry } = await fakeParties(t, { models: [gated], ...access });
    const first = await freshPush({ hub, registry }, gated.name, 'acme/x', { env: { HF_TOKEN: 'hf_good' } });
    const resolved = first.hubRequests.filter(({ path }) => path.includes('/resolve/'));
    assert.ok(resolved.length >= 9, 'the look before, and eight files that are not empty');
    // Who may not read the files may see that there is nothing to do.
    assertIdle(await freshPush({ hub, registry }, gated.name, 'acme/x'), first.result.manifestDigest);
    const again = freshPush({ hub, registry }, gated.name, 'acme/x', { force: true });
    await assert.rejects(again, { code: 'unauthorized', side: 'hub' });
  });

  for (const [files, hubRequests] of [
    // The commit, and pages of 1,000 entries; its seven folders are entries, too.
    [1200, 3],
    [2900, 4],
    [5000, 7],
  ] as const)
    test(`${files} layers: ${hubRequests} requests to the hub, two to the registry`, async (t) => {
      const many = manyFiles(files);
      const { hub, registry } = await fakeParties(t, { models: [many] });
      const foreseen = await foreseenImage(t, hub.url, many.name);
      const tag = headOf(many).slice(0, 12);
      registry.manifests.set(`acme/x:${tag}`, foreseen);
      const fresh = await freshPush({ hub, registry }, many.name, 'acme/x');
      assert.deepEqual([fresh.registryRequests.length, fresh.hubRequests.length], [2, hubRequests]);
      assert.deepEqual([fresh.reused.length, fresh.hubBytes], [files, 0]);
    });
});
