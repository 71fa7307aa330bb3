import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sha256State } from '../../src/digest/sha256.ts';
import { engines } from './engines.ts';

// The length of a SHA-256 counts bits in two words: over 4 GiB the second takes part, and over 512 MiB in bits already.
// Truths: `(head -c 5368709120 /dev/zero; printf boxcar) | sha256sum` and the like; chains are OpenSSL's on that way.

const beforeFourGib: Sha256State = {
  bytes: 2 ** 32 - 64,
  chain: '8e5d5c75160cb1a0490dab486b3cb6f43e5727a35d1b35d51e630964239c1d85',
};
const fiveGib: Sha256State = {
  bytes: 5 * 2 ** 30,
  chain: '7b1fe9787bf3f8084c03dac4dcdbff74afbad52921273b4e781c019b0a003d23',
};

for (const engine of engines) {
  test(`${engine.name}: restored at 5 GiB`, async () => {
    const empty = await engine.create(fiveGib);
    assert.equal(empty.digest(), '7f06c62352aebd8125b2a1841e2b9e1ffcbed602f381c3dcb3200200e383d1d5');
    const hash = await engine.create(fiveGib);
    hash.update(Buffer.from('boxcar'));
    assert.equal(hash.digest(), '4767774e32b1aa1996cb3e6834a997fc81d22104d5430b37e3e18ddb572149b8');
  });

  test(`${engine.name}: passes 4 GiB while hashing`, async () => {
    const hash = await engine.create(beforeFourGib);
    hash.update(Buffer.alloc(128));
    assert.equal(hash.save().bytes, 2 ** 32 + 64);
    assert.equal(hash.digest(), '1dcc895fdabb69b610bc33cdfa834084069fef4375fcf60bf0715c6742513f5c');
  });

  test(`${engine.name}: a hash of 1 PiB ends as the other engine's`, async () => {
    const state = { ...fiveGib, bytes: 2 ** 50 };
    const digests = await Promise.all(engines.map(async (each) => (await each.create(state)).digest()));
    assert.equal(new Set(digests).size, 1);
    assert.equal((await (await engine.create(state)).save()).bytes, 2 ** 50);
  });
}
