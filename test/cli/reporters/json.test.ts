import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  done,
  move,
  planned,
  refused,
  resolved,
  result,
  retry,
  shard,
  shardResult,
  size,
  started,
  told,
} from './story.ts';

function objects(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

test('every event is an object on a line of its own', (t) => {
  const { reporter, text } = told(t, { style: 'json' });
  const events = [resolved, planned([shard(1)]), started(shard(1)), retry(shard(1), 0), done(shard(1))];
  for (const event of events) reporter.event(event);
  reporter.event({ type: 'notice', level: 'warning', message: 'the tag moves' });
  reporter.event({ type: 'layer-failed', path: shard(1), size, error: refused });
  reporter.event({ type: 'tagged', tag: 'latest', digest: result.manifestDigest, moved: false });
  reporter.event({ type: 'done', result });
  reporter.event({ type: 'shard-done', result: shardResult });
  reporter.stopping('SIGINT');
  reporter.error(refused, 3);
  const lines = objects(text());
  assert.deepEqual(
    lines.map((line) => `${line.level} ${line.event}`),
    [
      'info resolved',
      'info planned',
      'info layer-started',
      'info layer-retry',
      'info layer-done',
      'warn notice',
      'error layer-failed',
      'info tagged',
      'info done',
      'info shard-done',
      'info stopping',
      'error error',
    ],
  );
  assert.deepEqual(lines[0], {
    level: 'info',
    time: '2026-06-01T12:04:30.000Z',
    event: 'resolved',
    model: resolved.model,
    commit: resolved.commit,
    target: resolved.target,
    tag: resolved.tag,
  });
  assert.deepEqual(lines[3]?.error, {
    code: 'hub-failed',
    side: 'hub',
    message: 'the hub closed the connection',
    request: { method: 'GET', url: 'https://cdn-lfs.hf.co/repos/ab/cd', status: 206 },
    exitCode: 5,
  });
  assert.equal(lines[5]?.msg, 'the tag moves');
  assert.deepEqual(lines[8]?.result, result);
  assert.deepEqual(lines[9]?.result, shardResult);
  assert.deepEqual(Object.keys(lines[11]?.error ?? {}), [
    'code',
    'side',
    'message',
    'hint',
    'request',
    'exitCode',
  ]);
});

test('progress is told every 5 s a layer, with or without bytes moving', (t) => {
  const { reporter, text, pass } = told(t, { style: 'json' });
  reporter.event(started(shard(1)));
  text();
  move(reporter, pass, shard(1), { perSecond: 100e6, seconds: 6 });
  pass(9);
  const lines = objects(text());
  assert.deepEqual(
    lines.map(({ time, event, offset, secondsLeft }) => ({ time, event, offset, secondsLeft })),
    [
      { time: '2026-06-01T12:04:35.000Z', event: 'layer-progress', offset: 490e6, secondsLeft: 35 },
      { time: '2026-06-01T12:04:40.000Z', event: 'layer-progress', offset: 600e6, secondsLeft: 165 },
      { time: '2026-06-01T12:04:45.000Z', event: 'layer-progress', offset: 600e6, secondsLeft: undefined },
    ],
  );
});

test('quiet leaves warnings and errors, verbose adds details', (t) => {
  const { reporter, text, pass } = told(t, { style: 'json', quiet: true });
  reporter.event(started(shard(1)));
  pass(10);
  reporter.event({ type: 'notice', level: 'info', message: 'x' });
  reporter.event({ type: 'notice', level: 'warning', message: 'y' });
  assert.deepEqual(
    objects(text()).map((line) => line.msg),
    ['y'],
  );
});

test('a hostile name comes through unchanged and harmless', (t) => {
  const { reporter, text } = told(t, { style: 'json', verbose: true });
  const path = '\x1b[2J\u009b\u202e\u{e0041}##vso[task.setvariable variable=x]y\n\u2028';
  reporter.event(started(path));
  reporter.event({ type: 'notice', level: 'detail', message: path });
  const written = text();
  assert.match(written, /^[\x0a\x20-\x7e]+$/);
  assert.doesNotMatch(written, /##/);
  const [first, second] = objects(written);
  assert.equal(first?.path, path);
  assert.equal(second?.msg, path);
});
