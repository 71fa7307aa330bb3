import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isTag } from '../../../src/oci/reference.ts';
import type { StateStore } from '../../../src/publish/progress/state-store.ts';
import {
  newestNumber,
  parseStateTag,
  stateTag,
  stateTagsOf,
} from '../../../src/publish/progress/state-tags.ts';

const long = 'x'.repeat(128);

test('a state is found by its image, also where the tag is as long as a tag can be', () => {
  const shard = { index: 2, count: 8 };
  for (const tag of ['v1', 'v1.partial', 'v1.partial.2', 'v1.partial-1-8', long, `${long.slice(1)}y`]) {
    const own = [stateTag(tag), stateTag(tag, shard), stateTag(tag, undefined, 3), stateTag(tag, shard, 12)];
    for (const each of own) assert.ok(isTag(each), each);
    assert.equal(stateTagsOf([...own, 'v1', 'latest', stateTag('v2')], tag).length, own.length);
    for (const each of own) assert.ok(parseStateTag(each));
  }
});

test('two long tags do not share a state', () => {
  assert.notEqual(stateTag(`${long.slice(1)}a`), stateTag(`${long.slice(1)}b`));
});

test('the newest comes first', () => {
  const tags = [1, 10, 2].map((number) => stateTag('v1', undefined, number));
  assert.deepEqual(
    stateTagsOf(tags, 'v1').map(({ number }) => number),
    [10, 2, 1],
  );
});

test('the newest of many is found in few requests', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(5000), async (newest) => {
      let asked = 0;
      const manifest = async (tag: string) => {
        asked += 1;
        return (parseStateTag(tag)?.number ?? 0) <= newest ? {} : undefined;
      };
      const store = { manifest } as unknown as StateStore;
      assert.equal(await newestNumber(store, 'v1', undefined, new AbortController().signal), newest);
      assert.ok(asked <= 2 + 2 * Math.log2(newest + 1), `${asked} requests for ${newest}`);
    }),
    { numRuns: 50, seed: 6 },
  );
});
