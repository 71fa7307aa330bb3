import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plannedLine } from '../../../src/cli/reporters/header.ts';
import { renderPlan } from '../../../src/cli/reporters/plan.ts';
import { plannedLayer, plannedOf, resolved, shard } from './story.ts';

test('each layer with what would happen and why, then the sums', () => {
  const layers = [
    plannedLayer('config.json', 'transfer', 'the content has changed since :a1b2c3d4e5f6'),
    plannedLayer('模型.json', 'reuse', 'unchanged since :a1b2c3d4e5f6'),
    plannedLayer(shard(1), 'reuse', 'unchanged since :a1b2c3d4e5f6'),
    plannedLayer(shard(2), 'mount', 'the same in models/base'),
    plannedLayer(`\x1b]0;x\x07${shard(3)}`, 'resume', '2.4 GB are there from an earlier run\n##[x]'),
    plannedLayer(`very/${'long/'.repeat(16)}model.bin`),
  ];
  assert.equal(
    renderPlan(plannedOf(layers), resolved),
    `Qwen/Qwen2.5-7B-Instruct @ a09a35458c70  ->  registry.acme.com/models/qwen-7b:a09a35458c70
  config.json                                                       3.9 GB  transfer  the content has changed since :a1b2c3d4e5f6
  模型.json                                                         3.9 GB  reuse     unchanged since :a1b2c3d4e5f6
  model-00001-of-00004.safetensors                                  3.9 GB  reuse     unchanged since :a1b2c3d4e5f6
  model-00002-of-00004.safetensors                                  3.9 GB  mount     the same in models/base
  ]0;x model-00003-of-00004.safetensors                             3.9 GB  resume    2.4 GB are there from an earlier run # #[x]
  very/${'long/'.repeat(16)}model.bin  3.9 GB  transfer
reuse     2 layers  7.8 GB
mount      1 layer  3.9 GB
resume     1 layer  3.9 GB, 1.5 GB of it to send
transfer  2 layers  7.8 GB
6 files, 23.4 GB: 2 reused, 1 to mount, 3 to transfer (9.3 GB) · 4 workers · one stream a layer
the layers take 23400000000 bytes, 9300000000 of them to transfer
`,
  );
});

test('1,000 layers are 1,000 rows', () => {
  const layers = Array.from({ length: 1000 }, (_, index) =>
    plannedLayer(shard(index + 1, 1000), 'reuse', 'unchanged since :a1b2c3d4e5f6'),
  );
  const lines = renderPlan(plannedOf(layers), resolved).trimEnd().split('\n');
  assert.equal(lines.length, 1 + 1000 + 3);
  assert.equal(lines[1000], `  ${shard(1000, 1000)}  3.9 GB  reuse     unchanged since :a1b2c3d4e5f6`);
  assert.deepEqual(lines.slice(1001), [
    'reuse     1000 layers  3.9 TB',
    '1000 files, 3.9 TB: 1000 reused, 0 to transfer · 4 workers · one stream a layer',
    'the layers take 3900000000000 bytes, 0 of them to transfer',
  ]);
});

test('where nothing is mounted nothing is said of it', () => {
  const layers = [plannedLayer('a', 'reuse'), plannedLayer('b')];
  assert.equal(
    plannedLine(plannedOf(layers)),
    '2 files, 7.8 GB: 1 reused, 1 to transfer (3.9 GB) · 4 workers · one stream a layer',
  );
});
