import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoxcarError } from '../../src/errors.ts';
import { Patience, type RetryNotice } from '../../src/http/retry.ts';

function failure(options: { transient?: boolean; retryAfterMs?: number } = {}): BoxcarError {
  return new BoxcarError('it failed', { code: 'hub-failed', side: 'hub', transient: true, ...options });
}

test('the error is final after so many attempts in a row', async () => {
  const notices: RetryNotice[] = [];
  const patience = new Patience({ limit: 3, baseMs: 0, onRetry: (notice) => notices.push(notice) });
  const error = failure();
  for (let i = 0; i < 3; i++) await patience.wait(error);
  await assert.rejects(patience.wait(error), (thrown) => thrown === error);
  assert.deepEqual(
    notices.map(({ attempt, of }) => `${attempt}/${of}`),
    ['1/3', '2/3', '3/3'],
  );
  assert.ok(notices.every((notice) => notice.error === error && notice.delayMs === 0));
});

test('progress starts the count anew', async () => {
  const attempts: number[] = [];
  const patience = new Patience({ limit: 2, baseMs: 0, onRetry: ({ attempt }) => attempts.push(attempt) });
  for (let i = 0; i < 10; i++) {
    await patience.wait(failure());
    await patience.wait(failure());
    patience.progress();
  }
  assert.deepEqual(attempts, Array.from({ length: 10 }, () => [1, 2]).flat());
});

test('a limit of 0 is no patience at all', async () => {
  const patience = new Patience({ limit: 0, baseMs: 0 });
  await assert.rejects(patience.wait(failure()), BoxcarError);
});

test('what is not transient is thrown at once, as it is', async () => {
  const patience = new Patience({ limit: 5, baseMs: 0, onRetry: () => assert.fail('no retry') });
  for (const error of [failure({ transient: false }), new Error('a bug'), 'text', undefined]) {
    await assert.rejects(patience.wait(error), (thrown) => thrown === error);
  }
});

test('the caller may know better, but not of what is no error of ours', async () => {
  const patience = new Patience({ limit: 1, baseMs: 0 });
  await patience.wait(failure({ transient: false }), undefined, true);
  await assert.rejects(patience.wait(failure({ transient: false }), undefined, true), BoxcarError);
  await assert.rejects(new Patience({ limit: 1, baseMs: 0 }).wait(new Error('a bug'), undefined, true), {
    message: 'a bug',
  });
});

test('it waits as long as the server said', async () => {
  let delay: number | undefined;
  const patience = new Patience({ limit: 1, baseMs: 0, onRetry: ({ delayMs }) => (delay = delayMs) });
  const started = performance.now();
  await patience.wait(failure({ retryAfterMs: 40 }));
  assert.equal(delay, 40);
  assert.ok(performance.now() - started >= 39);
});

test('a stop ends the wait with its reason', async () => {
  const abort = new AbortController();
  const reason = new Error('stopped');
  const patience = new Patience({ limit: 1, baseMs: 0 });
  const waiting = patience.wait(failure({ retryAfterMs: 600_000 }), abort.signal);
  abort.abort(reason);
  await assert.rejects(waiting, (thrown) => thrown === reason);
  await assert.rejects(patience.wait(failure(), abort.signal), (thrown) => thrown === reason);
});
