import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Growth } from '../../src/http/growth.ts';

const mb = 1_000_000;

/** Where a number ends that brings what `rateOf` says, and all it has been on the way. */
function run(
  t: TestContext,
  looks: number,
  rateOf: (count: number, look: number) => number,
  wanting = true,
): number[] {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const count = new Growth(8, 32);
  const counts = [count.now];
  for (let look = 0; look < looks; look++) {
    count.took(rateOf(count.now, look) / 4);
    now += 250;
    count.look(() => wanting);
    if (counts.at(-1) !== count.now) counts.push(count.now);
  }
  return counts;
}

test('more of them while each brings as much as those before', (t) => {
  assert.deepEqual(
    run(t, 40, (n) => n * 5 * mb),
    [8, 12, 18, 27, 32],
  );
});

test('a link that is full: one trial, and back', (t) => {
  assert.deepEqual(
    run(t, 40, (n) => Math.min(n * 40, 320) * mb),
    [8, 12, 8],
  );
});

test('a link that is full at some number: no more than that', (t) => {
  const counts = run(t, 40, (n) => Math.min(n * 20, 320) * mb);
  assert.deepEqual(counts, [8, 12, 18, 27, 18]);
});

test('a trial is made again after ten seconds, as links change', (t) => {
  const counts = run(t, 100, (n, look) => Math.min(n * 40, look < 30 ? 320 : 3200) * mb);
  assert.deepEqual(counts, [8, 12, 8, 12, 18, 27, 32]);
});

test('nothing to do for more of them: as they are', (t) => {
  assert.deepEqual(
    run(t, 40, (n) => n * mb, false),
    [8],
  );
});

test('nothing comes at all: a trial ends where it began', (t) => {
  assert.deepEqual(
    run(t, 8, () => 0),
    [8, 12, 8],
  );
});
