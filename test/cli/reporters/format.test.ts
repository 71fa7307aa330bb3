import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  age,
  bytes,
  bytesOf,
  countdown,
  delay,
  duration,
  percent,
  speed,
  timeOfDay,
} from '../../../src/cli/reporters/format.ts';

test('bytes are told in decimal units with as many digits as matter', () => {
  const told = [0, 999, 4096, 999_499, 999_500, 4_200_000, 212_000_000, 3_600_000_000, 15_230_000_000];
  const words = ['0 B', '999 B', '4 KB', '999 KB', '1.0 MB', '4.2 MB', '212 MB', '3.6 GB', '15.2 GB'];
  assert.deepEqual(told.map(bytes), words);
  assert.deepEqual([150e9, 99.96e9, 999.9e9, 1.5e12].map(bytes), ['150 GB', '100 GB', '1.0 TB', '1.5 TB']);
  assert.equal(speed(212e6), '212 MB/s');
});

test('a part is told in the unit of the whole', () => {
  assert.equal(bytesOf(2_418_000_000, 3_900_000_000), '2.4/3.9 GB');
  assert.equal(bytesOf(0, 3_900_000_000), '0.0/3.9 GB');
  assert.equal(bytesOf(0, 0), '0/0 B');
});

test('100 % is only told of all', () => {
  assert.deepEqual(
    [percent(999, 1000), percent(1000, 1000), percent(0, 0), percent(1001, 1000)],
    [99, 100, 100, 100],
  );
});

test('durations', () => {
  const told = [0, 0.42, 7, 59.6, 72, 120, 3600, 7500];
  const words = ['0.1 s', '0.4 s', '7 s', '1 min', '1 min 12 s', '2 min', '1 h', '2 h 5 min'];
  assert.deepEqual(told.map(duration), words);
  const ages = [-5, 59.9, 60, 7199, 7200, 172_799, 172_800];
  assert.deepEqual(ages.map(age), ['0 s', '59 s', '1 min', '1 h', '2 h', '47 h', '2 days']);
  assert.deepEqual([0, 2100, 9960, 72_000].map(delay), ['0.0 s', '2.1 s', '10 s', '1 min 12 s']);
  assert.deepEqual([0, 6.2, 72, 7510].map(countdown), ['0:00', '0:07', '1:12', '2:05:10']);
});

test('times of day are those of a 24-hour clock', () => {
  assert.equal(timeOfDay('UTC')(Date.UTC(2026, 0, 1, 0, 4, 31)), '00:04:31');
});
