import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Dialect } from '../../support/fake-registry.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { history } from '../../support/models.ts';
import { describeEachRegistry, kindsInShort, startRegistry } from '../../support/registries.ts';
import { inspectRegistry } from '../../support/registry-storage.ts';
import { startTokenServer } from '../../support/token-server.ts';
import { asked, freshPush, mixedFiles } from './fresh-runner.ts';
import { fakeParties, realParties } from './parties.ts';

const model = history('acme/mixed', mixedFiles, ['readme']);
const [head, begin] = model.commits.map(({ id }) => id) as [string, string];
const older = `${model.name}@${begin}`;
/** Another model, with one file of the same content at the same path, and one at another path. */
const cousin = history(
  'acme/cousin',
  { 'config.json': mixedFiles['config.json'] as string, 'other.txt': 'of no use' },
  [],
);
const mounts = /\/blobs\/uploads\/$/;

describeEachRegistry(
  '--mount-from',
  (kind) => {
    const parties = realParties(kind, { models: [model, cousin] });
    const push = (name: string, repository: string, mountFrom?: string[]) =>
      freshPush(parties, name, repository, mountFrom ? { mountFrom } : {});

    test('an earlier commit elsewhere: nothing is read of the hub but what is new', async () => {
      await push(older, 'staging/model');
      const fresh = await push(model.name, 'production/model', ['staging/model']);
      assert.deepEqual([fresh.transferred, fresh.mounted.length], [['README.md'], 7]);
      assert.ok(fresh.hubBytes < 1000);
      assert.equal(asked(fresh.registryRequests, 'POST', mounts), 7 + 2, 'mounts, the README and the config');
      assert.deepEqual(inspectRegistry(parties.real).uploads('production/model'), []);
      const alone = await push(model.name, 'alone/model');
      assert.equal(fresh.result.manifestDigest, alone.result.manifestDigest);
      // What is in the repository itself is not mounted.
      const again = await push(model.name, 'production/model:again', ['staging/model']);
      assert.deepEqual([again.reused.length, again.mounted.length], [8, 0]);
      assert.equal(asked(again.registryRequests, 'GET', /staging/), 0);
    });

    test('the same tag elsewhere', async () => {
      await push(model.name, 'staging/same');
      const fresh = await push(model.name, 'production/same', ['nowhere/at-all', 'staging/same']);
      assert.deepEqual([fresh.mounted.length, fresh.hubBytes, fresh.warnings], [8, 0, []]);
    });

    test('an image of another model: a file at the same path is the same layer, at another it is not', async () => {
      await push(cousin.name, 'cousins/model:v1');
      const fresh = await freshPush(parties, model.name, 'mixed/model', {
        reuseFrom: [`${parties.registry.host}/cousins/model:v1`],
      });
      assert.deepEqual(fresh.mounted, ['config.json']);
      assert.match(
        fresh.why['extra.txt'] ?? '',
        /^the same content as other\.txt in .*cousins\/model:v1, under another path/,
      );
    });

    test('the repository itself is no other', async () => {
      await push(older, 'self/model');
      const fresh = await push(model.name, 'self/model', ['self/model']);
      assert.deepEqual([fresh.reused.length, fresh.mounted.length], [7, 0]);
      assert.equal(asked(fresh.registryRequests, 'GET', /tags\/list/), 1);
    });

    for (const overreach of ['less', 'refused'] as const)
      test(`a repository that the account may not read (token server: ${overreach})`, async (t) => {
        const users = { owner: 'secret', ci: 'secret' };
        const rights = { ci: { 'team/model': ['pull', 'push'], 'team/base': ['pull'] } };
        const tokens = await startTokenServer({ users, rights, overreach });
        const closed = await startRegistry({ kind, auth: { token: tokens } });
        t.after(() => Promise.all([tokens.close(), closed.stop()]));
        const counted = await startFaultProxy(closed.url);
        t.after(() => counted.close());
        const as = (user: string, repository: string, mountFrom: string[] = []) =>
          freshPush({ hub: parties.hub, registry: counted }, user === 'ci' ? model.name : older, repository, {
            mountFrom,
            env: { OCI_USERNAME: user, OCI_PASSWORD: 'secret' },
          });
        await as('owner', 'secret/model');
        await as('owner', 'team/base');
        const fresh = await as('ci', 'team/model', ['secret/model', 'team/base']);
        assert.deepEqual([fresh.transferred, fresh.mounted.length], [['README.md'], 7]);
        assert.equal(fresh.warnings.length, 1, fresh.warnings.join('\n'));
        assert.match(
          fresh.warnings[0] ?? '',
          /^images in .*secret\/model cannot be looked at, nothing is reused/,
        );
        assert.ok(!tokens.requests.at(-1)?.scopes.join().includes('secret/model'));
      });
  },
  kindsInShort,
);

describe('a registry that does not mount', () => {
  async function twice(t: TestContext, dialect: Partial<Dialect>, fault?: number) {
    const { hub, registry } = await fakeParties(t, { models: [model] }, dialect);
    await freshPush({ hub, registry }, older, 'acme/base');
    if (fault)
      registry.faults.push({
        match: ({ method, url }) => method === 'POST' && url.includes('mount='),
        times: Number.POSITIVE_INFINITY,
        action: { kind: 'answer', status: fault },
      });
    const fresh = await freshPush({ hub, registry }, model.name, 'acme/x', { mountFrom: ['acme/base'] });
    const tries = fresh.registryRequests.filter(
      ({ method, url }) => method === 'POST' && url.includes('mount='),
    );
    assert.equal(fresh.transferred.length, 8);
    assert.deepEqual(registry.uploads(), [], 'no session is left');
    assert.equal(fresh.warnings.length, 1, fresh.warnings.join('\n'));
    assert.match(
      fresh.warnings[0] ?? '',
      /^the registry does not mount from acme\/base.*: the layers that are there are transferred$/,
    );
    assert.ok(registry.manifests.has(`acme/x:${head.slice(0, 12)}`));
    return tries.length;
  }

  test('202: an upload begins instead, which is cancelled; after two it is not asked any more', async (t) => {
    assert.equal(await twice(t, { mounts: 'ignored' }), 2);
  });

  test('405', async (t) => {
    assert.equal(await twice(t, { mounts: 'refused' }), 2);
  });

  test('500, again and again', async (t) => {
    assert.equal(await twice(t, {}, 500), 6);
  });

  test('403', async (t) => {
    assert.equal(await twice(t, {}, 403), 2);
  });

  test('a large layer of another size than said is not taken for it, though it was mounted', async (t) => {
    const { hub, registry } = await fakeParties(t, { models: [model] });
    const base = await freshPush({ hub, registry }, older, 'acme/base');
    const large = base.result.layers.find(({ path }) => path === 'model-1.safetensors')?.digest ?? '';
    registry.blobs.set(large, Buffer.alloc(1000));
    const fresh = await freshPush({ hub, registry }, model.name, 'acme/x', { mountFrom: ['acme/base'] });
    assert.deepEqual(fresh.transferred, ['README.md', 'model-1.safetensors']);
  });
});
