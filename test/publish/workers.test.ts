import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LayerPlan } from '../../src/layer/layer.ts';
import { Workers, workerCount } from '../../src/publish/workers.ts';
import { wholeSize } from '../../src/registry/upload-manner.ts';

const gib = 1024 ** 3;
const layer = (fileSize: number) => ({ header: new Uint8Array(512), fileSize }) as unknown as LayerPlan;
const large = layer(wholeSize);
const small = layer(1000);

test('a number is a number; auto goes by cores and memory', () => {
  assert.deepEqual(workerCount(7), { first: 7, most: 7 });
  for (const [cores, memory, first, most] of [
    [2, 8 * gib, 4, 8],
    [16, 64 * gib, 4, 32],
    [1, 8 * gib, 4, 4],
    // Half of it, without what the process takes anyway, holds two.
    [4, 300 * 1024 ** 2, 2, 2],
    [4, 100 * 1024 ** 2, 1, 1],
  ] as const)
    assert.deepEqual(workerCount('auto', { cores, memory }), { first, most }, `${cores} cores, ${memory}`);
});

/** Starts transfers that never end. @returns how many are at work. */
function started(workers: Workers, layers: LayerPlan[]): () => Promise<number> {
  let running = 0;
  for (const each of layers)
    void workers.run(each, () => {
      running += 1;
      return new Promise(() => {});
    });
  return async () => {
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    return running;
  };
}

test('as many large layers as workers, four times as many small ones, and small ones beside large', async () => {
  const many = (each: LayerPlan) => Array.from({ length: 40 }, () => each);
  const only = (layers: LayerPlan[]) => started(new Workers({ first: 3, most: 3 }), layers)();
  assert.equal(await only(many(large)), 3);
  assert.equal(await only(many(small)), 12);
  assert.equal(await only([...many(large), ...many(small)]), 12);
});

test('more while more bring more', async (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const workers = new Workers({ first: 4, most: 9 });
  const running = started(
    workers,
    Array.from({ length: 40 }, () => large),
  );
  for (const expected of [4, 6, 6, 9, 9]) {
    assert.equal(await running(), expected);
    now += 250;
    workers.sent((await running()) * 1e6);
  }
  assert.equal(await running(), 9, 'and no more');
});
