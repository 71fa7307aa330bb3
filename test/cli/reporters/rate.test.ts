import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rate, secondsLeft } from '../../../src/cli/reporters/rate.ts';
import { Transfers } from '../../../src/cli/reporters/transfers.ts';
import { done, planned, progress, retry, shard, size, started } from './story.ts';

function steady(rate: Rate, { from, to, perSecond }: { from: number; to: number; perSecond: number }) {
  for (let at = from + 10; at <= to; at += 10) rate.add(perSecond / 100, at);
}

test('a steady flow has its speed from the first second on', () => {
  const rate = new Rate(0);
  steady(rate, { from: 0, to: 1000, perSecond: 200 });
  assert.equal(rate.perSecond(1000), 200);
  steady(rate, { from: 1000, to: 20_000, perSecond: 200 });
  assert.ok(Math.abs(rate.perSecond(20_000) - 200) < 5);
});

test('the speed follows a change within the window and falls to 0 in a standstill', () => {
  const rate = new Rate(0, 5000);
  steady(rate, { from: 0, to: 10_000, perSecond: 1000 });
  steady(rate, { from: 10_000, to: 15_000, perSecond: 100 });
  assert.ok(Math.abs(rate.perSecond(15_000) - 100) < 30);
  assert.ok(rate.perSecond(17_500) < 60);
  assert.equal(rate.perSecond(20_100), 0);
});

test('a burst right after the start is not told as a speed of its own', () => {
  const rate = new Rate(0);
  rate.add(1000, 1);
  assert.equal(rate.perSecond(1), 2000);
});

test('time left', () => {
  assert.equal(secondsLeft(1000, 200), 5);
  assert.equal(secondsLeft(1000, 0), undefined);
});

test('what a registry lost and what a run before sent count as no speed', () => {
  const transfers = new Transfers();
  transfers.apply(planned([shard(1)]), 0);
  transfers.apply(started(shard(1), 1000), 0);
  assert.equal(transfers.offset, 1000);
  transfers.apply(progress(shard(1), 3000), 1000);
  assert.equal(transfers.perSecond(1000), 2000);
  transfers.apply(retry(shard(1), 500), 1000);
  assert.equal(transfers.offset, 500);
  assert.equal(transfers.inFlight.get(shard(1))?.rate.perSecond(1000), 2000);
  assert.equal(transfers.inFlight.get(shard(1))?.retry?.until, 3100);
  transfers.apply(progress(shard(1), 501), 4000);
  assert.equal(transfers.inFlight.get(shard(1))?.retry, undefined);
});

test('a failed layer leaves the sum, a settled one stays in it', () => {
  const transfers = new Transfers();
  transfers.apply(planned([shard(1), shard(2)]), 0);
  transfers.apply(done(shard(1)), 0);
  transfers.apply(started(shard(2)), 0);
  const { error } = retry(shard(2), 0) as Extract<ReturnType<typeof retry>, { type: 'layer-retry' }>;
  transfers.apply({ type: 'layer-failed', path: shard(2), size, error }, 0);
  assert.deepEqual([transfers.offset, transfers.size, transfers.allSettled], [size, size, true]);
});
