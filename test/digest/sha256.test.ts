import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Sha256, Sha256Engine } from '../../src/digest/sha256.ts';
import { engines, noNative } from './engines.ts';

function truth(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function hashOf(engine: Sha256Engine, pieces: Uint8Array[]): Promise<string> {
  const hash = await engine.create();
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
}

/** `bytes` cut at the given places. */
function split(bytes: Uint8Array, cuts: number[]): Uint8Array[] {
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((to, i) => bytes.subarray(at[i], to));
}

test('the native engine is here', { skip: noNative }, () => {
  assert.deepEqual(
    engines.map((engine) => engine.name),
    ['openssl', 'wasm'],
  );
});

for (const engine of engines) {
  describe(engine.name, () => {
    test('gives the digests of FIPS 180-4', async () => {
      for (const [text, digest] of [
        ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
        ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
        [
          'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
          '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
        ],
      ] as const) {
        assert.equal(await hashOf(engine, [Buffer.from(text)]), digest);
      }
    });

    test('equals node:crypto however the bytes are split', async () => {
      const bytes = fc.uint8Array({ maxLength: 3000 });
      const cuts = fc.array(fc.nat(), { maxLength: 12 });
      await fc.assert(
        fc.asyncProperty(bytes, cuts, async (input, at) => {
          assert.equal(await hashOf(engine, split(input, at)), truth(input));
        }),
        { numRuns: 200, seed: 1 },
      );
    });

    test('two hashes at once do not disturb each other', async () => {
      const [one, two] = [randomBytes(5000), randomBytes(5000)];
      const [a, b] = [await engine.create(), await engine.create()];
      for (let at = 0; at < 5000; at += 77) {
        a.update(one.subarray(at, at + 77));
        b.update(two.subarray(at, at + 77));
      }
      assert.deepEqual([a.digest(), b.digest()], [truth(one), truth(two)]);
    });

    test('takes views into larger buffers', async () => {
      const large = randomBytes(4096);
      const view = new Uint8Array(large.buffer, large.byteOffset + 13, 1001);
      assert.equal(await hashOf(engine, [view]), truth(view));
    });
  });
}

for (const first of engines) {
  for (const second of engines) {
    test(`saved by ${first.name}, restored by ${second.name}, at every multiple of 64`, async () => {
      const input = randomBytes(64 * 40 + 17);
      const expected = truth(input);
      const hash = await first.create();
      for (let at = 0; at <= input.length - 17; at += 64) {
        const state = hash.save();
        assert.equal(state.bytes, at);
        assert.match(state.chain, /^[0-9a-f]{64}$/);
        const restored = await second.create(JSON.parse(JSON.stringify(state)));
        assert.deepEqual(restored.save(), state);
        restored.update(input.subarray(at));
        assert.equal(restored.digest(), expected, `at ${at}`);
        hash.update(input.subarray(at, at + 64));
      }
    });
  }
}

test('a hash goes to and fro between the engines', async () => {
  const input = randomBytes(64 * 100);
  let hash: Sha256 = await (engines[0] as Sha256Engine).create();
  for (let turn = 0; turn < 100; turn++) {
    hash.update(input.subarray(64 * turn, 64 * turn + 64));
    hash = await (engines[(turn + 1) % engines.length] as Sha256Engine).create(hash.save());
  }
  assert.equal(hash.digest(), truth(input));
});
