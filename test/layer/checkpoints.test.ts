import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import { type Sha256, type Sha256State, sha256Engine } from '../../src/digest/sha256.ts';
import { layerSize } from '../../src/layer/layer.ts';
import { type Checkpoint, LayerDigest } from '../../src/layer/layer-digest.ts';
import { fakeBytes, layerOf } from './plans.ts';

const mib = 1024 * 1024;
const every = mib;
const chain = 'ab'.repeat(32);

/** The offsets of the checkpoints after so many bytes, without the work: the hash only counts. */
async function offsetsAfter(bytes: number): Promise<number[]> {
  const engine = await sha256Engine();
  mock.method(engine, 'create', async (from?: Sha256State) => {
    let count = from?.bytes ?? 0;
    return {
      update: (piece: Uint8Array) => {
        count += piece.length;
      },
      save: () => ({ bytes: count, chain }),
      digest: () => chain,
    };
  });
  mock.method(engine, 'update', (hashes: Sha256[], piece: Uint8Array) => {
    for (const hash of hashes) hash.update(piece);
  });
  const plan = { ...(await layerOf(fakeBytes(0))), fileSize: 2 * bytes };
  const digest = new LayerDigest(plan);
  await digest.seek(0);
  const piece = Buffer.alloc(64 * mib);
  while (digest.offset < bytes) await digest.update(piece.subarray(0, bytes - digest.offset));
  mock.restoreAll();
  return digest.checkpoints.map(({ offset }) => offset);
}

describe('thinning', () => {
  test('a layer of 250 GB keeps the newest sixteen and one in each power of two', async () => {
    const offsets = await offsetsAfter(250e9);
    assert.ok(offsets.length > 24 && offsets.length <= 16 + 19, `${offsets.length} are kept`);
    assert.ok(offsets.every((offset, i) => i === 0 || offset > (offsets[i - 1] as number)));
  });

  test('the newest sixteen are all there', async () => {
    const offsets = await offsetsAfter(1000 * every);
    assert.deepEqual(
      offsets.slice(-16),
      Array.from({ length: 16 }, (_, i) => (985 + i) * every),
    );
  });

  test('however far back the registry is, at most three times that is read again', async () => {
    for (const count of [9, 30, 100, 1000]) {
      const offsets = [0, ...(await offsetsAfter(count * every))];
      for (let back = 1; back < count; back++) {
        const wanted = (count - back) * every;
        const from = offsets.findLast((offset) => offset <= wanted) ?? 0;
        const again = (wanted - from) / every;
        assert.ok(again <= 3 * back, `${count} checkpoints made, ${back} back: ${again} read again`);
      }
    }
  });
});

describe('checkpoints from a state file', () => {
  const at = (offset: number, content?: string): Checkpoint => ({
    offset,
    layer: chain,
    ...(content ? { content } : {}),
  });

  test('what does not fit the layer is ignored', async () => {
    const plan = await layerOf(fakeBytes(10 * every));
    const { length } = plan.header;
    const unfit = [
      at(every + 1, chain),
      at(layerSize(plan), chain),
      at(layerSize(plan) + 64, chain),
      at(100 * every, chain),
      // The file's hash belongs to every offset in the file, and to none before.
      at(every),
      at(length),
      at(length - 64, chain),
    ];
    const digest = new LayerDigest(plan, unfit);
    assert.deepEqual(digest.checkpoints, []);
    assert.equal(await digest.seek(9 * every), 0);
    const fit = new LayerDigest(plan, [at(3 * every, chain), ...unfit, at(every, chain), at(length - 64)]);
    assert.deepEqual(
      fit.checkpoints.map(({ offset }) => offset),
      [length - 64, every, 3 * every],
    );
  });

  test('the list that was given is left alone', async () => {
    const plan = await layerOf(fakeBytes(10 * every));
    const given = [at(3 * every, chain), at(every, chain)];
    const digest = new LayerDigest(plan, given);
    await digest.seek(0);
    assert.deepEqual(given, [at(3 * every, chain), at(every, chain)]);
  });

  test('a content hash for a file known by its git id is ignored', async () => {
    const plan = await layerOf(fakeBytes(2 * every), 'f', 'git');
    const digest = new LayerDigest(plan, [at(every, chain)]);
    assert.equal(await digest.seek(every), 0);
  });

  test('one in the padding, where no byte of the file is left, is ignored', async () => {
    const plan = await layerOf(fakeBytes(100));
    const offset = layerSize(plan) - 64;
    assert.equal(await new LayerDigest(plan, [at(offset, chain)]).seek(offset), 0);
  });
});
