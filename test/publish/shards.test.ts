import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { planModelcar } from '../../src/formats/modelcar.ts';
import { layerSize } from '../../src/layer/layer.ts';
import { checkOptions } from '../../src/publish/options.ts';
import { shardName, shareLayers } from '../../src/publish/shards.ts';
import { defaults, file, snapshotOf } from '../formats/snapshots.ts';

const sizes = fc.array(fc.oneof(fc.nat(10), fc.nat(5_000_000_000)), { minLength: 1, maxLength: 40 });

test('shares are balanced, whole, and the same for the same plan in any order', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1, max: 50 }), async (all, count) => {
      const files = all.map((size, i) => file(`f-${i}`, size));
      const { layers } = await planModelcar(snapshotOf(files), defaults);
      const shares = shareLayers(layers, count);
      assert.equal(shares.length, count);
      const bytes = shares.map((share) => share.reduce((sum, layer) => sum + layerSize(layer), 0));
      const mean = bytes.reduce((a, b) => a + b, 0) / count;
      assert.ok(Math.max(...bytes) <= mean + Math.max(...layers.map(layerSize)));
      const names = (share: { name: string }[]) => share.map(({ name }) => name);
      assert.deepEqual(shares.flatMap(names).sort(), names(layers).sort());
      const shuffled = shareLayers([...layers].reverse(), count).map((share) => names(share).sort());
      assert.deepEqual(
        shuffled,
        shares.map((share) => names(share).sort()),
      );
    }),
    { numRuns: 60, seed: 5 },
  );
});

const check = (shard: string, more = {}) =>
  checkOptions({ model: 'a/b', target: 'r.example.com/x', env: {}, shard, ...more });

test('a shard is counted from 1 or from 0', () => {
  assert.deepEqual(check('8/8').shard, { index: 0, count: 8 });
  assert.deepEqual(check('0/8').shard, { index: 0, count: 8 });
  assert.deepEqual(check('1/1').shard, { index: 0, count: 1 });
  assert.equal(shardName({ index: 0, count: 8 }), '8/8');
  assert.equal(shardName({ index: 3, count: 8 }), '3/8');
  assert.equal(check('3/8').state, 'registry');
});

for (const bad of ['', '3', '9/8', '0/0', '-1/8', '1/8/2', '1.5/8', '3/8 ', 'a/b', '1/99999'])
  test(`${JSON.stringify(bad)} is no shard`, () => {
    assert.throws(() => check(bad), { code: 'usage', exitCode: 2 });
  });

test('shards go with no state file, no directory, and --finalize-last with nothing else', () => {
  assert.throws(() => check('1/2', { stateFile: 'x.json' }), { code: 'usage' });
  assert.throws(() => check('1/2', { stateFile: false }), { code: 'usage' });
  assert.throws(() => check('1/2', { target: 'oci:x' }), { code: 'usage' });
  assert.throws(
    () => checkOptions({ model: 'a/b', target: 'r.example.com/x', env: {}, finalizeLast: true }),
    { code: 'usage' },
  );
});
