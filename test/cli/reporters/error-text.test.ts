import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorLines, errorSummary } from '../../../src/cli/reporters/error-text.ts';
import { asBoxcarError, BoxcarError } from '../../../src/errors.ts';
import { closedByHub, refused } from './story.ts';

test('what failed, the request, the cause, what to do', () => {
  assert.deepEqual(errorLines(refused, 3), [
    'error: the registry refused the upload of model-00002-of-00004.safetensors (exit 3)',
    '  PATCH https://registry.acme.com/v2/models/qwen-7b/blobs/uploads/1 answered 401 UNAUTHORIZED "authentication required"',
    '  credentials came from /home/ci/.docker/config.json, entry registry.acme.com',
    '  does this account have push access to models/qwen-7b?',
  ]);
});

test('a hint of two lines keeps them while there is room', () => {
  const hint = 'credentials came from $OCI_USERNAME\ndoes this account have push access?';
  const request = { method: 'GET', url: 'https://r.example/v2/' };
  const facts = { code: 'unauthorized', side: 'registry', request, hint } as const;
  assert.deepEqual(errorLines(new BoxcarError('no', facts), 3).slice(1), [
    '  GET https://r.example/v2/ got no answer',
    '  credentials came from $OCI_USERNAME',
    '  does this account have push access?',
  ]);
  const four = errorLines(new BoxcarError('no', { ...facts, cause: new Error('why') }), 3);
  assert.equal(four.length, 4);
  assert.equal(four[3], '  credentials came from $OCI_USERNAME; does this account have push access?');
});

test('causes are told once each, with the code that Node gives them', () => {
  const reset = Object.assign(new Error('read failed'), { code: 'ECONNRESET' });
  const cause = new Error('fetch failed', { cause: new AggregateError([reset, new Error('other')], '') });
  const lines = errorLines(
    new BoxcarError('the hub cannot be reached', { code: 'hub-failed', side: 'hub', cause }),
    5,
  );
  assert.deepEqual(lines.slice(1), [
    '  fetch failed: read failed (ECONNRESET) (and 1 more)',
    '  everything sent so far is saved: run the same command to go on',
  ]);
});

test('the request and the hint may be those of the cause', () => {
  const outer = new BoxcarError('2 layers failed', {
    code: 'layers-failed',
    side: 'registry',
    cause: refused,
  });
  assert.deepEqual(errorLines(outer, 7).length, 4);
});

test('an unexpected error is told without its stack, unless verbose', () => {
  const error = asBoxcarError(new TypeError('x is not a function'));
  assert.deepEqual(errorLines(error, 1), [
    'error: x is not a function (exit 1)',
    '  this looks like a bug in boxcar: --verbose shows where it happened',
  ]);
  assert.match(
    errorLines(error, 1, { verbose: true }).join('\n'),
    /TypeError: x is not a function\n {4}at .*error-text\.test/,
  );
});

test('a stop is no error', () => {
  const stop = new BoxcarError('stopped by SIGTERM', { code: 'stopped', side: 'local' });
  assert.deepEqual(errorLines(stop, 143), [
    'stopped by SIGTERM (exit 143)',
    '  everything sent so far is saved: run the same command to go on',
  ]);
});

test('no part of it can act on the terminal', () => {
  const nasty = '\x1b[31mred\x07\nblue\u202e\u009b2J';
  const request = { method: 'GET', url: nasty, status: 500, answer: nasty };
  const cause = new Error(`because ${nasty}`);
  cause.stack = nasty;
  const error = new BoxcarError(nasty, { code: 'hub-failed', side: 'hub', request, cause, hint: nasty });
  for (const line of [...errorLines(error, 5, { verbose: true }), errorSummary(error)]) {
    assert.doesNotMatch(line, /[\p{Cc}\p{Cf}]/u);
  }
});

test('in a line about a layer it is short', () => {
  assert.equal(errorSummary(closedByHub), 'the hub closed the connection (GET cdn-lfs.hf.co, 206)');
});
