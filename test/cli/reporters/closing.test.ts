import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closingLines } from '../../../src/cli/reporters/closing.ts';
import { renderPlan } from '../../../src/cli/reporters/plan.ts';
import { digest, layer, planned, resolved, result, reused, shard } from './story.ts';

const { totals } = result;

test('a layout directory is copied from, not pulled', () => {
  const [, ...use] = closingLines({
    ...result,
    imageRef: "oci:/mnt/my model's:v1",
    imageRefDigest: 'oci:x@y',
  });
  assert.deepEqual(use, [
    `copy   skopeo copy 'oci:/mnt/my model'\\''s:v1' docker://REGISTRY/REPOSITORY:v1`,
    `copy   oras cp --from-oci-layout '/mnt/my model'\\''s:v1' REGISTRY/REPOSITORY:v1`,
  ]);
});

test('where nothing was sent no side was slower', () => {
  const none = { ...totals, transferred: 0, reused: 3, bytesSent: 0, seconds: 0.8, waitingForHub: 0 };
  const [line] = closingLines({ ...result, layers: [layer('a', reused)], totals: none });
  assert.equal(line, 'done in 0.8 s: 0 transferred, 3 reused, 0 mounted, 0 resumed');
});

test('what was resumed is told with its own bytes', () => {
  const layers = [layer(shard(1), { outcome: 'resumed', bytesSent: 1_500_000_000 })];
  const some = {
    ...totals,
    transferred: 0,
    resumed: 1,
    bytesSent: 1_500_000_000,
    retries: 2,
    waitingForHub: 0.31,
  };
  const [line] = closingLines({ ...result, layers, totals: some });
  assert.equal(
    line,
    'done in 41 s: 0 transferred, 1 reused, 0 mounted, 1 resumed (1.5 GB, 37 MB/s); the registry was the slower side (31 % of the time waiting for the hub); 2 retries',
  );
});

test('the plan of a dry run', () => {
  assert.equal(
    renderPlan(planned(['config.json', `\x1b]0;x\x07${shard(1)}`], 1), resolved),
    `Qwen/Qwen2.5-7B-Instruct @ a09a35458c70  ->  registry.acme.com/models/qwen-7b:a09a35458c70
  config.json                            3.9 GB  ${digest}
  ]0;x model-00001-of-00004.safetensors  3.9 GB  ${digest}
2 files, 7.8 GB: 1 reused, 1 to transfer (3.9 GB) · 4 workers · one stream a layer
the layers take 7800000000 bytes, 3900000000 of them to transfer
`,
  );
});
