import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closingLines } from '../../../src/cli/reporters/closing.ts';
import { layer, result, reused, shard, size } from './story.ts';

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

test('where nothing was sent no side was slower, and the saving says what it was reckoned with', () => {
  const none = {
    ...totals,
    transferred: 0,
    reused: 2,
    mounted: 1,
    bytes: { reused: 2 * size, mounted: size, resumed: 0, transferred: 0 },
    secondsSaved: 117,
    savedAtBytesPerSecond: 100e6,
    bytesSent: 0,
    seconds: 0.8,
    waitingForHub: 0,
  };
  const layers = [layer('a', reused), layer('b', reused), layer('c', { ...reused, outcome: 'mounted' })];
  const [line] = closingLines({ ...result, layers, totals: none });
  assert.equal(
    line,
    'done in 0.8 s: 0 transferred, 2 reused (7.8 GB), 1 mounted (3.9 GB), 0 resumed; about 1 min 57 s saved at 100 MB/s',
  );
  const [little] = closingLines({ ...result, layers, totals: { ...none, secondsSaved: 0.9 } });
  assert.match(little ?? '', / 0 resumed$/);
});

test('what was resumed is told by what was there and what was sent', () => {
  const layers = [
    layer(shard(1), { outcome: 'resumed', bytesSent: 1_500_000_000 }),
    layer(shard(2), { bytesSent: 2_000_000_000 }),
  ];
  const some = {
    ...totals,
    transferred: 1,
    reused: 0,
    resumed: 1,
    bytes: { reused: 0, mounted: 0, resumed: 2_400_000_000, transferred: 3_500_000_000 },
    secondsSaved: 28.1,
    savedAtBytesPerSecond: 3_500_000_000 / 41,
    bytesSent: 3_500_000_000,
    retries: 2,
    waitingForHub: 0.31,
  };
  assert.equal(
    closingLines({ ...result, layers, totals: some })[0],
    'done in 41 s: 1 transferred (2.0 GB, 85 MB/s), 0 reused, 0 mounted, 1 resumed (2.4 GB were there, 1.5 GB sent); ' +
      'about 28 s saved; the registry was the slower side (31 % of the time waiting for the hub); 2 retries',
  );
  const alone = { ...some, transferred: 0, bytesSent: 1_500_000_000, retries: 0, secondsSaved: 0 };
  assert.match(
    closingLines({ ...result, layers: layers.slice(0, 1), totals: alone })[0] ?? '',
    /: 0 transferred, .* 1 resumed \(2\.4 GB were there, 1\.5 GB sent, 37 MB\/s\); the registry/,
  );
});
