import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { closingLines } from '../../../src/cli/reporters/closing.ts';
import type { Totals } from '../../../src/publish/events.ts';
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
    phases: { hub: 31, digest: 4, registry: 65, waiting: 0 },
    bottleneck: 'registry' as const,
  };
  assert.equal(
    closingLines({ ...result, layers, totals: some })[0],
    'done in 41 s: 1 transferred (2.0 GB, 85 MB/s), 0 reused, 0 mounted, 1 resumed (2.4 GB were there, 1.5 GB sent); ' +
      'about 28 s saved; the registry was the slower side (65 % of the time waiting for it), hub 31 %, hashing 4 %; 2 retries',
  );
  const alone = { ...some, transferred: 0, bytesSent: 1_500_000_000, retries: 0, secondsSaved: 0 };
  assert.match(
    closingLines({ ...result, layers: layers.slice(0, 1), totals: alone })[0] ?? '',
    /: 0 transferred, .* 1 resumed \(2\.4 GB were there, 1\.5 GB sent, 37 MB\/s\); the registry/,
  );
});

describe('what held the run up is told with what the rest took', () => {
  const phases = { hub: 25, digest: 50, registry: 24.6, waiting: 0.4 };
  const cases: [totals: Partial<Totals>, says: string][] = [
    [
      { bottleneck: 'hub' },
      'the hub was the slower side (82 % of the time waiting for it), registry 15 %, hashing 3 %',
    ],
    [
      { bottleneck: 'digest', phases },
      'hashing on this machine was the slowest part (50 % of the time), hub 25 %, registry 24 %',
    ],
    [
      { bottleneck: 'waiting', phases: { hub: 1, digest: 0, registry: 1, waiting: 8 } },
      'the delays before retries were the slowest part (80 % of the time), hub 10 %, registry 10 %',
    ],
    [
      { bottleneck: 'cpu', phases, cpuBusy: 0.978 },
      "this machine's CPU was the limit (busy 97 % of the time), hashing 50 %, hub 25 %, registry 24 %",
    ],
    [
      { bottleneck: 'none', phases: { hub: 41, digest: 20, registry: 39, waiting: 0 } },
      'no side was much slower than another, hub 41 %, registry 39 %, hashing 20 %',
    ],
  ];
  for (const [changes, says] of cases) {
    test(`${changes.bottleneck}`, () => {
      const [line = ''] = closingLines({ ...result, totals: { ...totals, ...changes } });
      assert.ok(line.endsWith(`0 resumed; ${says}`), line);
    });
  }

  test('a directory has a disk, not a registry', () => {
    const slow = { ...totals, bottleneck: 'registry' as const };
    const [line = ''] = closingLines({ ...result, imageRef: 'oci:x:v1', totals: slow });
    assert.match(line, /; the disk was the slower side \(15 % of the time waiting for it\), hub 82 %/);
  });

  test('of a few bytes it cannot be told', () => {
    const { bottleneck: _, ...few } = totals;
    assert.match(
      closingLines({ ...result, totals: few })[0] ?? '',
      /; too little was sent to tell the slower side$/,
    );
  });
});
