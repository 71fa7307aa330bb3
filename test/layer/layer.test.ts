import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { layerSize, openLayer } from '../../src/layer/layer.ts';
import { collect, fakeBytes, layerOf, source } from './plans.ts';

test('a layer is header, file, padding and trailer', async () => {
  const bytes = fakeBytes(700);
  const plan = await layerOf(bytes);
  const layer = await collect(openLayer(plan, 0, source(bytes)));
  assert.equal(layerSize(plan), 3 * 512 + 1024 + 1024);
  assert.equal(layer.length, layerSize(plan));
  assert.deepEqual(layer.subarray(0, 3 * 512), plan.header);
  assert.deepEqual(layer.subarray(3 * 512, 3 * 512 + 700), bytes);
  assert.ok(layer.subarray(3 * 512 + 700).every((byte) => byte === 0));
});

test('sizes that matter are exact', async () => {
  for (const size of [0, 1, 511, 512, 513, 1024]) {
    const bytes = fakeBytes(size);
    const plan = await layerOf(bytes, 'f');
    assert.equal(layerSize(plan), 1024 + Math.ceil(size / 512) * 512 + 1024);
    assert.equal((await collect(openLayer(plan, 0, source(bytes)))).length, layerSize(plan));
  }
  const gib = 2 ** 30;
  const large = { ...(await layerOf(fakeBytes(0), 'f')), fileSize: 700 * gib + 1 };
  assert.equal(layerSize(large), 1024 + 700 * gib + 512 + 1024);
});

test('opened at any offset it is the tail of itself', async () => {
  const size = fc.oneof(fc.nat(3000), fc.constantFrom(0, 1, 511, 512, 513, 1023, 1024, 1025));
  const path = fc.constantFrom('f', 'a/b/c.bin', 'Größe/x', `${'long/'.repeat(40)}name`);
  const where = fc.double({ min: 0, max: 1, noNaN: true });
  await fc.assert(
    fc.asyncProperty(
      size,
      path,
      where,
      fc.integer({ min: 1, max: 700 }),
      async (fileSize, name, at, piece) => {
        const bytes = fakeBytes(fileSize, piece);
        const plan = await layerOf(bytes, name);
        const whole = await collect(openLayer(plan, 0, source(bytes)));
        const from = Math.round(at * layerSize(plan));
        const tail = await collect(openLayer(plan, from, source(bytes, piece)));
        assert.ok(tail.equals(whole.subarray(from)), `${name} of ${fileSize} bytes at ${from}`);
      },
    ),
    { numRuns: 300, seed: 2 },
  );
});

test('every offset around every seam', async () => {
  const bytes = fakeBytes(600);
  const plan = await layerOf(bytes, 'f');
  const whole = await collect(openLayer(plan, 0, source(bytes)));
  for (const seam of [0, 512, 1024, 1024 + 600, 1024 + 1024, layerSize(plan)]) {
    for (let from = Math.max(0, seam - 2); from <= Math.min(layerSize(plan), seam + 2); from++) {
      const tail = await collect(openLayer(plan, from, source(bytes)));
      assert.ok(tail.equals(whole.subarray(from)), `at ${from}`);
    }
  }
});

test('the file is opened where it is needed, and not at all behind its end', async () => {
  const bytes = fakeBytes(600);
  const plan = await layerOf(bytes, 'f');
  const opened: number[] = [];
  const signal = new AbortController().signal;
  const openFile = (from: number, given?: AbortSignal) => {
    assert.equal(given, signal);
    opened.push(from);
    return source(bytes)(from);
  };
  for (const from of [0, 1000, 1024, 1500, 1624, 2000, layerSize(plan)]) {
    await collect(openLayer(plan, from, openFile, signal));
  }
  assert.deepEqual(opened, [0, 0, 0, 476]);
});

test('a layer that is left early leaves its file', async () => {
  const bytes = fakeBytes(5000);
  const plan = await layerOf(bytes, 'f');
  let left = false;
  async function* openFile(): AsyncGenerator<Uint8Array> {
    try {
      yield* source(bytes)(0);
    } finally {
      left = true;
    }
  }
  for await (const piece of openLayer(plan, 1024, openFile)) if (piece.length > 0) break;
  assert.ok(left);
});
