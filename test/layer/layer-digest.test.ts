import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { BoxcarError } from '../../src/errors.ts';
import { type LayerPlan, layerSize, openLayer } from '../../src/layer/layer.ts';
import { type Checkpoint, LayerDigest } from '../../src/layer/layer-digest.ts';
import { collect, fakeBytes, layerOf, source } from './plans.ts';

const mib = 1024 * 1024;
const every = mib;

/** Four checkpoints. */
const bytes = fakeBytes(4.5 * mib + 333);
const plan = await layerOf(bytes);
const layer = await collect(openLayer(plan, 0, source(bytes, mib)));
const expected = `sha256:${createHash('sha256').update(layer).digest('hex')}`;

async function feed(digest: LayerDigest, to = layer.length, piece = mib): Promise<void> {
  while (digest.offset < to)
    await digest.update(layer.subarray(digest.offset, Math.min(to, digest.offset + piece)));
}

/** The digest of a layer whose file turned out to be `got`. */
async function digestOf(listed: LayerPlan, got: Uint8Array): Promise<string> {
  const digest = new LayerDigest(listed);
  await digest.seek(0);
  for await (const piece of openLayer(listed, 0, source(got))) await digest.update(piece);
  return digest.digest();
}

const isMismatch = (message: RegExp) => (error: BoxcarError) =>
  error.code === 'content-mismatch' && error.side === 'hub' && message.test(error.message);

describe('a straight run', () => {
  test('gives the layer its digest, whatever the pieces', async () => {
    for (const piece of [layer.length, mib, 65_537, 2 * mib + 1]) {
      const digest = new LayerDigest(plan);
      assert.equal(await digest.seek(0), 0);
      await feed(digest, layer.length, piece);
      assert.equal(digest.offset, layerSize(plan));
      assert.equal(digest.digest(), expected);
    }
  });

  test('leaves a checkpoint every MiB of the layer', async () => {
    const digest = new LayerDigest(plan);
    await digest.seek(0);
    await feed(digest);
    assert.deepEqual(
      digest.checkpoints.map(({ offset }) => offset),
      [every, 2 * every, 3 * every, 4 * every],
    );
    for (const { layer, content } of digest.checkpoints) {
      assert.match(layer, /^[0-9a-f]{64}$/);
      assert.match(content ?? '', /^[0-9a-f]{64}$/);
      assert.notEqual(layer, content);
    }
  });

  test('files of zero bytes and of one', async () => {
    for (const kind of ['sha256', 'git']) {
      for (const size of [0, 1]) {
        const small = fakeBytes(size);
        const smallPlan = await layerOf(small, 'f', kind);
        const whole = await collect(openLayer(smallPlan, 0, source(small)));
        const digest = `sha256:${createHash('sha256').update(whole).digest('hex')}`;
        assert.equal(await digestOf(smallPlan, small), digest);
      }
    }
  });
});

describe('seeking', () => {
  test('any pattern of seeks ends in the digest of a straight run', async () => {
    const stops = fc.array(fc.record({ to: fc.nat(layer.length), back: fc.nat(layer.length) }), {
      maxLength: 4,
    });
    await fc.assert(
      fc.asyncProperty(stops, fc.constantFrom(mib, 777_777), async (pattern, piece) => {
        let digest = new LayerDigest(plan);
        await digest.seek(0);
        for (const [i, { to, back }] of pattern.entries()) {
          await feed(digest, to, piece);
          // Every other time in a new process: only the checkpoints are left, as JSON.
          if (i % 2)
            digest = new LayerDigest(plan, JSON.parse(JSON.stringify(digest.checkpoints)) as Checkpoint[]);
          const from = await digest.seek(back);
          assert.ok(from <= back && from === digest.offset);
        }
        await feed(digest, layer.length, piece);
        assert.equal(digest.digest(), expected);
      }),
      { numRuns: 12, seed: 3 },
    );
  });

  test('goes to the newest checkpoint at or before the offset', async () => {
    const digest = new LayerDigest(plan);
    await digest.seek(0);
    await feed(digest);
    const all = [...digest.checkpoints];
    for (const [offset, from] of [
      [layer.length, 4 * every],
      [4 * every, 4 * every],
      [4 * every - 1, 3 * every],
      [every, every],
      [every - 1, 0],
      [0, 0],
    ] as const) {
      const again = new LayerDigest(plan, all);
      assert.equal(await again.seek(offset), from);
      await feed(again);
      assert.equal(again.digest(), expected);
    }
  });

  test('a git id has no checkpoints: its file is hashed from its start', async () => {
    const git = await layerOf(bytes, 'dir/file.bin', 'git');
    const digest = new LayerDigest(git);
    await digest.seek(0);
    await feed(digest);
    assert.deepEqual(digest.checkpoints, []);
    assert.equal(await digest.seek(2 * mib), 0);
    await feed(digest);
    assert.equal(digest.digest(), expected);
  });

  test('no checkpoint is behind the last byte of the file', async () => {
    const exact = fakeBytes(every - plan.header.length);
    const exactPlan = await layerOf(exact);
    const digest = new LayerDigest(exactPlan);
    await digest.seek(0);
    for await (const piece of openLayer(exactPlan, 0, source(exact, mib))) await digest.update(piece);
    assert.deepEqual(digest.checkpoints, []);
    digest.digest();
  });
});

describe('content that is not what the hub lists', () => {
  const small = fakeBytes(5000);

  for (const kind of ['sha256', 'git']) {
    test(`one wrong bit, ${kind}`, async () => {
      const listed = await layerOf(small, 'f', kind);
      for (const at of [0, 2500, 4999]) {
        const wrong = Buffer.from(small);
        wrong[at] = (wrong[at] as number) ^ 1;
        const why = isMismatch(/^f is not what the hub lists: its bytes have .* the hub recorded /);
        await assert.rejects(digestOf(listed, wrong), why);
      }
    });

    test(`too short, ${kind}`, async () => {
      const listed = await layerOf(small, 'f', kind);
      for (const missing of [1, 512, 5000]) {
        const short = small.subarray(0, 5000 - missing);
        await assert.rejects(digestOf(listed, short), isMismatch(/of 7168 bytes of its layer came/));
      }
    });

    test(`too long, ${kind}`, async () => {
      const listed = await layerOf(small, 'f', kind);
      for (const extra of [1, 512]) {
        const long = Buffer.concat([small, Buffer.alloc(extra)]);
        await assert.rejects(digestOf(listed, long), isMismatch(/of 7168 bytes of its layer came/));
      }
    });
  }

  test('a byte moved from one layer half to the other, the size right', async () => {
    const listed = await layerOf(small, 'f');
    const swapped = Buffer.concat([small.subarray(2500), small.subarray(0, 2500)]);
    await assert.rejects(digestOf(listed, swapped), isMismatch(/the hub recorded/));
  });

  test('a layer that is not yet whole has no digest', async () => {
    const digest = new LayerDigest(plan);
    await digest.seek(0);
    await feed(digest, layer.length - 1);
    assert.throws(() => digest.digest(), isMismatch(/bytes of its layer came/));
  });
});

describe('without verification', () => {
  const wrong = Buffer.from(bytes);
  wrong[2_000_000] = (wrong[2_000_000] as number) ^ 1;

  test('a large file may be other than recorded, its layer is hashed all the same', async () => {
    const digest = new LayerDigest(plan, [], false);
    await digest.seek(0);
    const hash = createHash('sha256');
    for await (const piece of openLayer(plan, 0, source(wrong))) {
      hash.update(piece);
      await digest.update(piece);
    }
    assert.equal(digest.digest(), `sha256:${hash.digest('hex')}`);
    assert.ok(digest.checkpoints.every(({ content }) => content === undefined));
  });

  test('a small one is compared', async () => {
    const git = await layerOf(bytes, 'dir/file.bin', 'git');
    const digest = new LayerDigest(git, [], false);
    await digest.seek(0);
    for await (const piece of openLayer(git, 0, source(wrong))) await digest.update(piece);
    assert.throws(() => digest.digest(), isMismatch(/the hub recorded git:/));
  });

  test('too short is too short', async () => {
    const digest = new LayerDigest(plan, [], false);
    await digest.seek(0);
    await feed(digest, layer.length - 1);
    assert.throws(() => digest.digest(), isMismatch(/bytes of its layer came/));
  });

  test('it goes on from checkpoints of either kind; with verification such a file is hashed anew', async () => {
    for (const before of [true, false]) {
      const first = new LayerDigest(plan, [], before);
      await first.seek(0);
      await feed(first, 3 * every + 5);
      const second = new LayerDigest(plan, first.checkpoints, false);
      assert.equal(await second.seek(3 * every + 5), 3 * every);
      await feed(second);
      assert.equal(second.digest(), expected);
      const third = new LayerDigest(plan, first.checkpoints, true);
      assert.equal(await third.seek(3 * every + 5), before ? 3 * every : 0);
      await feed(third);
      assert.equal(third.digest(), expected);
    }
  });
});
