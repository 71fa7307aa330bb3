import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { modelcarImage, type PlanOptions, planModelcar } from '../../src/formats/modelcar.ts';
import type { ModelCard, ModelFile } from '../../src/hub/model-file.ts';
import { layerSize } from '../../src/layer/layer.ts';
import { tarHeader } from '../../src/layer/tar.ts';
import { parsePlatform } from '../../src/oci/image.ts';
import { defaults, digestsOf, file, snapshotOf } from './snapshots.ts';

// biome-ignore lint/suspicious/noExplicitAny: what JSON.parse gives.
type Parsed = any;

async function imageOf(
  files: ModelFile[],
  { card = {}, options = defaults }: { card?: ModelCard; options?: PlanOptions } = {},
): Promise<{ manifest: Parsed; config: Parsed; digest: string }> {
  const plan = await planModelcar(snapshotOf(files, card), options);
  const { manifest, config } = modelcarImage(plan, digestsOf(plan));
  return {
    manifest: JSON.parse(manifest.bytes.toString()),
    config: JSON.parse(config.bytes.toString()),
    digest: manifest.descriptor.digest,
  };
}

test('the order of the listing changes nothing', async () => {
  const files = ['b', 'a/z', 'a.b', 'A', 'Größe', 'a/é', 'c/d/e', 'Z', '_', '0'].map((path) => file(path));
  const { digest, manifest } = await imageOf(files);
  assert.deepEqual(
    manifest.layers.map((layer: Parsed) => layer.annotations['org.opencontainers.image.title']),
    ['0', 'A', 'Größe', 'Z', '_', 'a.b', 'a/z', 'a/é', 'b', 'c/d/e'],
  );
  const shuffled = fc.shuffledSubarray(files, { minLength: files.length });
  await fc.assert(
    fc.asyncProperty(shuffled, async (listing) => assert.equal((await imageOf(listing)).digest, digest)),
    { numRuns: 30, seed: 4 },
  );
});

test('nothing of the machine or the moment is in it', async () => {
  const { manifest, config } = await imageOf([file('a')]);
  assert.deepEqual(Object.keys(config), ['architecture', 'os', 'config', 'rootfs']);
  assert.deepEqual(Object.keys(config.config), ['Labels']);
  assert.deepEqual(Object.keys(manifest), ['schemaVersion', 'mediaType', 'config', 'layers', 'annotations']);
});

test('the labels are the annotations', async () => {
  const { manifest, config } = await imageOf([file('README.md')]);
  assert.deepEqual(config.config.Labels, manifest.annotations);
});

test('without a README there is no documentation', async () => {
  const { manifest } = await imageOf([file('docs/README.md')]);
  assert.ok(!('org.opencontainers.image.documentation' in manifest.annotations));
});

test('a bare model name is its own author', async () => {
  const plan = await planModelcar({ ...snapshotOf([file('a')]), model: 'gpt2' }, defaults);
  const { annotations } = JSON.parse(modelcarImage(plan, digestsOf(plan)).manifest.bytes.toString());
  assert.equal(annotations['org.opencontainers.image.vendor'], 'gpt2');
  assert.equal(annotations['org.opencontainers.image.source'], 'https://huggingface.co/gpt2');
});

test('the prefix is where the files are', async () => {
  for (const [prefix, name] of [
    ['models/', 'models/a/b'],
    ['', 'a/b'],
    ['srv/llm/', 'srv/llm/a/b'],
    ['Größe/', 'Größe/a/b'],
  ] as const) {
    const options = { ...defaults, prefix };
    const plan = await planModelcar(snapshotOf([file('a/b', 3)]), options);
    assert.equal(plan.layers[0]?.name, name);
    assert.equal(plan.layers[0]?.path, 'a/b');
    assert.deepEqual(plan.layers[0]?.header, await tarHeader(name, 3));
    const { manifest } = await imageOf([file('a/b', 3)], { options });
    assert.equal(manifest.annotations['dev.boxcar.layer.prefix'], prefix);
    assert.equal(manifest.layers[0].annotations['org.opencontainers.image.title'], 'a/b');
  }
});

test('the platform is in the config alone', async () => {
  const options = { ...defaults, platform: parsePlatform('linux/arm64/v8') };
  const { config, manifest } = await imageOf([file('a')], { options });
  assert.deepEqual([config.os, config.architecture, config.variant], ['linux', 'arm64', 'v8']);
  assert.deepEqual(manifest.layers, (await imageOf([file('a')])).manifest.layers);
});

test('sizes are known before a byte is read', async () => {
  const plan = await planModelcar(snapshotOf([file('a', 0), file('b', 1), file('c', 9 * 2 ** 30)]), defaults);
  assert.equal(
    plan.size,
    plan.layers.reduce((sum, layer) => sum + layerSize(layer), 0),
  );
  assert.deepEqual(plan.layers.map(layerSize), [2048, 2560, 2048 + 9 * 2 ** 30]);
});

test('a digest that is missing is an error of ours', async () => {
  const plan = await planModelcar(snapshotOf([file('a'), file('b')]), defaults);
  assert.throws(() => modelcarImage(plan, digestsOf(plan).slice(1)), { code: 'unexpected' });
});

test('5,000 files are planned in a moment', async () => {
  const files = Array.from({ length: 5000 }, (_, i) => file(`part-${i % 7}/file-${i}.json`, i));
  const started = process.cpuUsage();
  const plan = await planModelcar(snapshotOf(files), defaults);
  const { manifest } = modelcarImage(plan, digestsOf(plan));
  // CPU time: what else the machine does is not the plan's affair.
  const ms = process.cpuUsage(started).user / 1000;
  assert.equal(plan.layers.length, 5000);
  assert.ok(manifest.bytes.length < 4 * 1024 * 1024, 'registries take manifests of 4 MiB');
  assert.ok(ms < 5000, `it took ${ms} ms`);
});
