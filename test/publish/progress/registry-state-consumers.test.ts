import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { stateArtifact } from '../../../src/formats/state-artifact.ts';
import { push, pushShard } from '../../../src/index.ts';
import { startHub } from '../../support/hub.ts';
import { tinyModel } from '../../support/models.ts';
import { describeEachRegistry, startRegistry } from '../../support/registries.ts';
import { inspectRegistry } from '../../support/registry-storage.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { has } from '../image.ts';

describeEachRegistry('a state is no image', (kind) => {
  test('podman does not pull it, skopeo finds no image in it, no push takes layers from it', async (t) => {
    const hub = await startHub({ models: [tinyModel()] });
    const registry = await startRegistry({ kind });
    t.after(() => Promise.all([hub.close(), registry.stop()]));
    const options = { model: 'acme/tiny', env: { HOME: tempDir(t), HF_ENDPOINT: hub.url }, backoffMs: 1 };
    const shard = await pushShard({ ...options, target: `${registry.host}/x:v1`, shard: '1/1' });
    assert.equal('shard' in shard && shard.shard, '1/1');
    const tag = 'v1.partial-0-1';
    const manifest = await inspectRegistry(registry).manifest('x', tag);
    assert.equal(manifest?.json.layers.length, 9);
    assert.notEqual(manifest?.json.config.mediaType, 'application/vnd.oci.image.config.v1+json');

    const known = await push({
      ...options,
      target: `${registry.host}/y:v1`,
      reuseFrom: [`${registry.host}/x:${tag}`],
    });
    assert.equal(known.totals.transferred, 9);

    const reference = `docker://${registry.host}/x:${tag}`;
    if (has('skopeo')) {
      const inspect = spawnSync('skopeo', ['inspect', '--config', '--tls-verify=false', reference], {
        encoding: 'utf8',
      });
      const said = inspect.status === 0 ? JSON.parse(inspect.stdout) : {};
      assert.equal(said.rootfs?.diff_ids?.length ?? 0, 0, inspect.stdout);
    }
    if (!has('podman')) return;
    const storage = ['--root', tempDir(t), '--runroot', tempDir(t), '--storage-driver', 'vfs'];
    const pull = spawnSync(
      'podman',
      [...storage, 'pull', '--tls-verify=false', `${registry.host}/x:${tag}`],
      {
        encoding: 'utf8',
      },
    );
    assert.notEqual(pull.status, 0, pull.stderr);
    assert.match(pull.stderr, /artifact|mediaType|media type|MIME/i);
  });
});

test('two states are never the same manifest, so that one can be deleted by its digest', () => {
  const manifests = ['a.partial', 'b.partial'].map(
    (tag) => stateArtifact('{}', [], tag, 0).manifest.descriptor.digest,
  );
  assert.notEqual(manifests[0], manifests[1]);
});
