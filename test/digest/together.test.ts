import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { engines, noLanes } from './engines.ts';

const input = randomBytes(700_000);
/** What comes before in the first of two hashes, as a tar header does. */
const header = randomBytes(1536);

function truth(...parts: Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

for (const engine of engines) {
  describe(`${engine.name}: the same bytes into several hashes`, () => {
    test('are right however they are cut', async () => {
      const sizes = fc.array(fc.oneof(fc.nat(200), fc.integer({ min: 60_000, max: 200_000 })), {
        maxLength: 8,
      });
      await fc.assert(
        fc.asyncProperty(sizes, async (cuts) => {
          const [layer, content] = [await engine.create(), await engine.create()];
          layer.update(header);
          let at = 0;
          for (const size of [...cuts, input.length]) {
            await engine.update([layer, content], input.subarray(at, at + size));
            at += Math.min(size, input.length - at);
          }
          assert.deepEqual([layer.digest(), content.digest()], [truth(header, input), truth(input)]);
        }),
        { numRuns: 30, seed: 7 },
      );
    });

    test('of many layers at the same time', async () => {
      const layers = await Promise.all(
        Array.from({ length: 16 }, async (_, i) => {
          const [one, other] = [await engine.create(), await engine.create()];
          const own = Buffer.from(input.subarray(i * 1000));
          for (let at = 0; at < own.length; at += 131_072)
            await engine.update([one, other], own.subarray(at, at + 131_072));
          return { digests: [one.digest(), other.digest()], own };
        }),
      );
      for (const { digests, own } of layers) assert.deepEqual(digests, [truth(own), truth(own)]);
    });

    test('one hash alone, and what is saved in between', async () => {
      const one = await engine.create();
      await engine.update([one], input.subarray(0, 640_000));
      const other = await engine.create(one.save());
      await engine.update([one, other], input.subarray(640_000));
      assert.deepEqual([one.digest(), other.digest()], [truth(input), truth(input)]);
    });

    test('past 4 GiB their length is right', async () => {
      const state = { bytes: 2 ** 32 - 64, chain: 'ab'.repeat(32) };
      const [one, other, single] = [
        await engine.create(state),
        await engine.create(state),
        await engine.create(state),
      ];
      await engine.update([one, other], input);
      single.update(input);
      const expected = single.digest();
      assert.deepEqual([one.digest(), other.digest()], [expected, expected]);
    });
  });
}

test('on this processor two lanes are used', { skip: noLanes }, () => {
  assert.deepEqual(
    engines.filter((engine) => 'hasLanes' in engine && engine.hasLanes).map(({ name }) => name),
    ['openssl'],
  );
});
