import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isTransientStatus, retryAfter, retryDelay } from '../../src/http/retry.ts';

describe('the wait that a server asks for', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const cases: [Record<string, string | string[] | undefined>, number | undefined][] = [
    [{}, undefined],
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': '1.5' }, 1500],
    [{ 'retry-after': '-3' }, 0],
    [{ 'retry-after': '' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': 'Infinity' }, undefined],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:01:30 GMT' }, 90_000],
    [{ 'retry-after': 'Wed, 31 Dec 2025 23:59:00 GMT' }, 0],
    [{ ratelimit: '"resolvers";r=0;t=57' }, 57_000],
    [{ ratelimit: '"resolvers"; r=0; t=57' }, 57_000],
    [{ ratelimit: '"resolvers";t=57;r=0' }, 57_000],
    [{ ratelimit: '"resolvers";r=12;t=57' }, undefined],
    [{ ratelimit: '"resolvers";r=10;t=57' }, undefined],
    [{ ratelimit: '"api";r=900;t=11, "resolvers";r=0;t=57' }, 57_000],
    [{ ratelimit: '"api";r=0;t=11, "resolvers";r=3;t=57' }, 11_000],
    [{ ratelimit: ['"api";r=900;t=11', '"resolvers";r=0;t=57'] }, 57_000],
    [{ ratelimit: 'limit=100, remaining=0, reset=5' }, undefined],
    [{ 'retry-after': '2', ratelimit: '"resolvers";r=0;t=57' }, 2000],
    [{ 'retry-after': 'soon', ratelimit: '"resolvers";r=0;t=57' }, 57_000],
  ];
  for (const [headers, expected] of cases) {
    test(JSON.stringify(headers), () => assert.equal(retryAfter(headers, now), expected));
  }
  test('a date is by the clock of the server that names it, however wrong', () => {
    const headers = { 'retry-after': 'Thu, 01 Jan 1970 00:01:30 GMT', date: 'Thu, 01 Jan 1970 00:01:00 GMT' };
    assert.equal(retryAfter(headers), 30_000);
  });
});

describe('the wait before a retry', () => {
  test('is drawn from nothing up to an exponential cap', () => {
    for (const [attempt, cap] of [
      [1, 500],
      [2, 1000],
      [3, 2000],
      [6, 16_000],
      [7, 30_000],
      [100, 30_000],
      [5000, 30_000],
    ] as const) {
      assert.equal(
        retryDelay(attempt, undefined, 500, () => 0),
        0,
      );
      assert.equal(
        retryDelay(attempt, undefined, 500, () => 0.5),
        cap / 2,
      );
      assert.equal(
        retryDelay(attempt, undefined, 500, () => 1),
        cap,
      );
    }
  });

  test('is at least what the server asked for', () => {
    assert.equal(
      retryDelay(1, 57_000, 500, () => 0),
      57_000,
    );
    assert.equal(
      retryDelay(2, 57_000, 500, () => 1),
      58_000,
    );
    assert.equal(
      retryDelay(1, 0, 500, () => 0.5),
      250,
    );
  });

  test('is never hours, whatever the server asked for', () => {
    assert.equal(
      retryDelay(1, 86_400_000, 500, () => 0),
      15 * 60_000,
    );
  });

  test('by default it is random', () => {
    const delays = Array.from({ length: 50 }, () => retryDelay(5, undefined, 500));
    assert.ok(new Set(delays).size > 10);
    assert.ok(delays.every((delay) => delay >= 0 && delay <= 8000));
  });
});

test('which statuses may be different next time', () => {
  const transient = [408, 425, 429, 500, 502, 503, 504, 507, 520, 522, 524, 529];
  const final = [200, 301, 304, 400, 401, 403, 404, 405, 409, 410, 413, 416, 422, 451, 501, 505];
  for (const status of transient) assert.ok(isTransientStatus(status), `${status}`);
  for (const status of final) assert.ok(!isTransientStatus(status), `${status}`);
});
