import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { PublishEvent } from '../../../src/index.ts';
import { long } from '../../reliability/tally.ts';
import type { FileSpec, Model } from '../../support/hub/model.ts';
import { startHub } from '../../support/hub.ts';
import { type Change, history, manyFiles } from '../../support/models.ts';
import { describeEachRegistry, kindsInShort } from '../../support/registries.ts';
import { forgetBlob, inspectRegistry } from '../../support/registry-storage.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { asked, freshPush, mixedFiles } from './fresh-runner.ts';
import { realParties } from './parties.ts';

const paths = Object.keys(mixedFiles).sort();
const hundred = { ...filesOf(manyFiles(100)), 'README.md': '# Many\n' };
const chosen = 'part-2/file-000009.json';

/** What a commit changes, and what of it must be transferred then, with the bytes that are read of the hub. */
const changes: [name: string, change: Change, transferred: string[], bytes: number][] = [
  ['the README alone', 'readme', ['README.md'], 600],
  ['a small file, to the same size', { rewrite: ['config.json'] }, ['config.json'], 18],
  ['a file in LFS, to the same size', { rewrite: ['model-1.safetensors'] }, ['model-1.safetensors'], 200_003],
  ['a small file in LFS, to the same size', { rewrite: ['small.bin'] }, ['small.bin'], 2000],
  ['a path', { rename: { 'merges.txt': 'vocab/merges.txt' } }, ['vocab/merges.txt'], 90_001],
  ['less: a file removed', { remove: ['extra.txt'] }, [], 0],
];
const model = history(
  'acme/mixed',
  mixedFiles,
  changes.map(([, change]) => change),
);
const wide = history('acme/wide', hundred, [{ rewrite: [chosen] }]);
/** Oldest first. */
const commits = model.commits.map(({ id }) => id).reverse();
const [begin = '', second = ''] = commits;

function filesOf({ commits: [newest] }: Model): Record<string, FileSpec> {
  return newest?.files ?? {};
}

describeEachRegistry(
  'a new commit',
  (kind) => {
    const parties = realParties(kind, { models: [model, wide] });

    const at = (commit: string) => `${model.name}@${commit}`;
    let repositories = 0;
    const empty = () => {
      repositories += 1;
      return `empty/${repositories}`;
    };
    /** The image as it is where there was nothing before. */
    const afresh = async (commit: string, options = {}) =>
      (await freshPush(parties, at(commit), empty(), options)).result.manifestDigest;

    test('moves what has changed and nothing else, commit after commit', async () => {
      await freshPush(parties, at(begin), 'chain');
      for (const [i, [name, , transferred, bytes]] of changes.entries()) {
        const commit = commits[i + 1] as string;
        const fresh = await freshPush(parties, at(commit), 'chain');
        assert.deepEqual(fresh.transferred, transferred, name);
        assert.ok(fresh.hubBytes <= bytes, `${name}: ${fresh.hubBytes} bytes`);
        assert.equal(fresh.result.manifestDigest, await afresh(commit), name);
        assert.deepEqual(fresh.warnings, [], name);
        const sought = fresh.hubRequests.filter(({ path }) => path.includes('/commits/'));
        assert.equal(sought.length, 1, name);
        // Every layer is looked into or asked for once, be it reused or begun.
        assert.ok(fresh.registryRequests.length <= 30, `${name}: ${fresh.registryRequests.length} requests`);
      }
    });

    test('says why a layer is new', async () => {
      await freshPush(parties, at(commits[4] as string), 'why');
      const renamed = await freshPush(parties, at(commits[5] as string), 'why');
      assert.match(
        renamed.why['vocab/merges.txt'] ?? '',
        /^the same content as merges\.txt in :[0-9a-f]{12}, under/,
      );
      assert.match(renamed.infos.join(), /^vocab\/merges\.txt: the same content as merges\.txt/);
      const changed = await freshPush(parties, at(begin), 'why-not', {});
      assert.equal(changed.why['config.json'], 'not published before');
      const third = await freshPush(parties, at(commits[2] as string), 'why-not');
      assert.deepEqual(third.why, {
        'README.md': `its content has changed since :${begin.slice(0, 12)}`,
        'config.json': `its content has changed since :${begin.slice(0, 12)}`,
      });
      const prefixed = await freshPush(parties, at(begin), 'why-not:prefixed', { layerPrefix: 'data/' });
      assert.deepEqual(prefixed.transferred, paths);
      assert.match(prefixed.why['config.json'] ?? '', /it is under models\/: a layer of its own$/);
      assert.equal(prefixed.result.manifestDigest, await afresh(begin, { layerPrefix: 'data/' }));
    });

    test('another platform has the same layers', async () => {
      await freshPush(parties, at(begin), 'platform');
      const fresh = await freshPush(parties, at(begin), 'platform:arm', { platform: 'linux/arm64' });
      assert.deepEqual([fresh.reused.length, fresh.hubBytes], [8, 0]);
      assert.equal(fresh.result.manifestDigest, await afresh(begin, { platform: 'linux/arm64' }));
    });

    test('--also-tag shows where the image before is; --force moves the tag and reuses', async () => {
      await freshPush(parties, at(begin), 'moving:v1', { alsoTags: ['latest'] });
      const tagged = await freshPush(parties, at(second), 'moving:v2', { alsoTags: ['latest'] });
      assert.deepEqual(tagged.transferred, ['README.md']);
      assert.equal(
        asked(tagged.registryRequests, 'GET', /manifests\/v2$/),
        2,
        'before, and before it is tagged',
      );
      const moved = await freshPush(parties, at(commits[2] as string), 'moving:v1', { force: true });
      assert.deepEqual(moved.transferred, ['README.md', 'config.json']);
      assert.equal(moved.result.manifestDigest, await afresh(commits[2] as string));
      const again = await freshPush(parties, at(commits[2] as string), 'moving:v1', { force: true });
      assert.deepEqual(again.transferred, paths);
      assert.equal(again.result.manifestDigest, moved.result.manifestDigest);
    });

    test('--reuse-from: a tag, a digest, the same repository, another one, one that is not there', async () => {
      const first = await freshPush(parties, at(begin), 'named:old');
      const { host } = parties.registry;
      const byName = await freshPush(parties, at(second), 'named:a', { reuseFrom: [':old'] });
      assert.deepEqual(byName.transferred, ['README.md']);
      const { imageRefDigest } = first.result;
      const byDigest = await freshPush(parties, at(second), 'named:b', { reuseFrom: [imageRefDigest] });
      assert.deepEqual(byDigest.transferred, ['README.md']);
      const other = await freshPush(parties, at(second), 'named-other', {
        reuseFrom: [`${host}/named:missing`, `${host}/named:old`],
      });
      assert.deepEqual([other.transferred, other.mounted.length], [['README.md'], 7]);
      assert.deepEqual(other.warnings, [
        `there is no image ${host}/named:missing: nothing is reused from it`,
      ]);
      assert.equal(other.result.manifestDigest, await afresh(second));
      const missing = await freshPush(parties, at(begin), empty(), {
        reuseFrom: [`:none`, `${host}/nowhere:v1`],
      });
      assert.deepEqual([missing.warnings.length, missing.transferred.length], [2, 8]);
    });

    test('a blob that was collected while its manifest stays is transferred', async () => {
      const first = await freshPush(parties, at(begin), 'collected');
      const gone = first.result.layers.filter(({ path }) => /config|model-2/.test(path));
      for (const { digest } of gone) forgetBlob(parties.real, 'collected', digest);
      const fresh = await freshPush(parties, at(second), 'collected');
      assert.deepEqual(fresh.transferred, ['README.md', 'config.json', 'model-2.safetensors']);
      assert.equal(fresh.result.manifestDigest, await afresh(second));
    });

    test('a blob that vanishes before the manifest is put is transferred at once', async () => {
      await freshPush(parties, at(begin), 'vanishing');
      const done: string[] = [];
      const onEvent = (event: PublishEvent) => {
        if (event.type !== 'layer-done') return;
        done.push(event.result.path);
        if (event.result.path === 'model-2.safetensors' && event.result.outcome === 'reused')
          forgetBlob(parties.real, 'vanishing', event.result.digest);
      };
      const fresh = await freshPush(parties, at(second), 'vanishing', { onEvent });
      assert.deepEqual(fresh.transferred, ['README.md', 'model-2.safetensors']);
      assert.deepEqual(fresh.warnings, [
        'the registry has lost a layer meanwhile: what is missing is transferred again',
      ]);
      assert.equal(fresh.result.manifestDigest, await afresh(second));
      assert.deepEqual(done.filter((path) => path !== 'model-2.safetensors').length, 7, 'told once each');
      assert.deepEqual(inspectRegistry(parties.real).uploads('vanishing'), []);
    });

    // The same at another size.
    if (!long && kind === 'distribution-2') return;

    test('one of 100 files', async () => {
      const [newer, older] = wide.commits;
      await freshPush(parties, `${wide.name}@${older?.id}`, 'wide');
      const fresh = await freshPush(parties, `${wide.name}@${newer?.id}`, 'wide');
      assert.deepEqual([fresh.transferred, fresh.reused.length], [[chosen], 100]);
      assert.ok(fresh.hubBytes < 100, `${fresh.hubBytes} bytes`);
      assert.equal(asked(fresh.registryRequests, 'GET', /\/blobs\//), 101, 'a config, and each small layer');
      assert.ok(fresh.registryRequests.length < 120, `${fresh.registryRequests.length} requests`);
      const alone = await freshPush(parties, `${wide.name}@${newer?.id}`, empty());
      assert.equal(fresh.result.manifestDigest, alone.result.manifestDigest);
    });
  },
  kindsInShort,
);

describe('a new commit into an image layout', () => {
  test('reuses what is in the directory', async (t) => {
    const hub = await startHub({ models: [model] });
    t.after(() => hub.close());
    const directory = join(tempDir(t), 'image');
    const into = (commit: string, where: string, options = {}) =>
      freshPush({ hub, registry: { host: '', requests: [] } }, `${model.name}@${commit}`, '', {
        target: `oci:${where}`,
        ...options,
      });
    await into(begin, directory);
    const fresh = await into(second, directory);
    assert.deepEqual([fresh.transferred, fresh.reused.length], [['README.md'], 7]);
    const named = await into(commits[2] as string, `${directory}:v3`, {
      reuseFrom: [`:${begin.slice(0, 12)}`],
    });
    assert.deepEqual(named.transferred, ['config.json']);
    const alone = await into(commits[2] as string, join(tempDir(t), 'other'));
    assert.equal(named.result.manifestDigest, alone.result.manifestDigest);
    const broken = alone.result.layers.find(({ path }) => path === 'model-1.safetensors')?.digest ?? '';
    rmSync(join(directory, 'blobs/sha256', broken.replace('sha256:', '')));
    const mended = await into(commits[2] as string, `${directory}:v3`, { check: true });
    assert.deepEqual(mended.transferred, ['model-1.safetensors']);
  });
});
