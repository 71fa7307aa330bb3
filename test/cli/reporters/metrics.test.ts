import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Metrics } from '../../../src/cli/reporters/metrics.ts';
import { MetricsFile } from '../../../src/cli/reporters/metrics-file.ts';
import { retried } from '../../../src/publish/events.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { sample, samplesOf } from './metrics-text.ts';
import { closedByHub, done, planned, refused, resolved, result, retry, reused, size } from './story.ts';

const labels = { model: 'acme/x', revision: 'main', target: 'registry.acme.com/x' };
const facts = { startedAt: 1000, now: 1060, seconds: 60, cpuSeconds: 30 };

test('a publish in numbers', () => {
  const metrics = new Metrics();
  metrics.event(resolved);
  metrics.event(planned(['a', 'b', 'c', 'd', 'e'], 1));
  const phases = { hub: 3, digest: 1, registry: 2, waiting: 0.5 };
  metrics.event({ type: 'layer-phases', path: 'b', phases, until: 1, bytesRead: 100, bytesSent: 90 });
  metrics.event({ type: 'layer-phases', path: 'c', phases, until: 2, bytesRead: 11, bytesSent: 12 });
  metrics.event(retry('b', 10));
  metrics.event(retry('c', 10));
  metrics.event(retried({ error: refused, attempt: 1, of: 10, delayMs: 5 }));
  metrics.event(done('a', reused));
  metrics.event(done('b', { outcome: 'resumed', bytesSent: size - 1000 }));
  metrics.event(done('c'));
  metrics.event(done('d', { outcome: 'mounted', bytesSent: 0 }));
  metrics.event({ type: 'layer-failed', path: 'e', size, error: closedByHub });
  const text = metrics.text({ ...facts, exitCode: 7, lastSuccess: 500 }, labels, '1.2.3');
  const own = 'model="acme/x",revision="main",target="registry.acme.com/x"';
  assert.deepEqual(Object.fromEntries(samplesOf(text)), {
    [`boxcar_info{${own},version="1.2.3",commit="${resolved.commit}"}`]: 1,
    [`boxcar_running{${own}}`]: 0,
    [`boxcar_success{${own}}`]: 0,
    [`boxcar_exit_code{${own}}`]: 7,
    [`boxcar_start_timestamp_seconds{${own}}`]: 1000,
    [`boxcar_last_success_timestamp_seconds{${own}}`]: 500,
    [`boxcar_duration_seconds{${own}}`]: 60,
    [`boxcar_cpu_seconds{${own}}`]: 30,
    [`boxcar_planned_layers{${own}}`]: 5,
    [`boxcar_planned_bytes{${own}}`]: 5 * size,
    [`boxcar_layers{${own},outcome="reused"}`]: 1,
    [`boxcar_layers{${own},outcome="mounted"}`]: 1,
    [`boxcar_layers{${own},outcome="resumed"}`]: 1,
    [`boxcar_layers{${own},outcome="transferred"}`]: 1,
    [`boxcar_layers{${own},outcome="failed"}`]: 1,
    [`boxcar_read_bytes{${own}}`]: 111,
    [`boxcar_sent_bytes{${own}}`]: 102,
    [`boxcar_reused_bytes{${own}}`]: 2048,
    [`boxcar_mounted_bytes{${own}}`]: size,
    [`boxcar_resumed_bytes{${own}}`]: 1000,
    [`boxcar_retries{${own},side="hub",reason="connection"}`]: 2,
    [`boxcar_retries{${own},side="registry",reason="connection"}`]: 1,
    [`boxcar_phase_seconds{${own},phase="hub"}`]: 6,
    [`boxcar_phase_seconds{${own},phase="digest"}`]: 2,
    [`boxcar_phase_seconds{${own},phase="registry"}`]: 4,
    [`boxcar_phase_seconds{${own},phase="waiting"}`]: 1,
  });
});

test('while it runs it has neither succeeded nor failed; what others have brought is counted in the end', () => {
  const metrics = new Metrics();
  const running = metrics.text(facts, labels, '1');
  assert.equal(sample(running, 'boxcar_running'), 1);
  for (const name of ['boxcar_success', 'boxcar_exit_code', 'boxcar_last_success_timestamp_seconds'])
    assert.equal(sample(running, name), undefined, name);
  metrics.event({ type: 'done', result });
  const ended = metrics.text({ ...facts, exitCode: 0 }, labels, '1');
  assert.equal(sample(ended, 'boxcar_last_success_timestamp_seconds'), 1060);
  assert.equal(sample(ended, 'boxcar_layers', 'outcome="transferred"'), 2);
  assert.equal(sample(ended, 'boxcar_reused_bytes'), 2048);
});

test('labels are escaped', () => {
  const text = new Metrics().text(facts, { target: 'oci:/a "b"\\\nc' }, '1');
  assert.match(text, /boxcar_running\{target="oci:\/a \\"b\\"\\\\\\nc"\} 1/);
  samplesOf(text);
});

test('the file is replaced whole every 15 s and at the end, and remembers when all was well', (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'Date'], now: 1_000_000 });
  const directory = tempDir(t);
  const path = join(directory, 'boxcar.prom');
  const warnings: string[] = [];
  const open = (own = labels) => new MetricsFile(path, own, (message) => warnings.push(message));
  const read = (name: string) => sample(readFileSync(path, 'utf8'), name);
  const first = open();
  t.mock.timers.tick(14_000);
  assert.deepEqual(readdirSync(directory), []);
  t.mock.timers.tick(1000);
  assert.equal(read('boxcar_running'), 1);
  const { ino } = statSync(path);
  first.end(0);
  assert.notEqual(statSync(path).ino, ino);
  assert.equal(statSync(path).mode & 0o777, 0o644 & ~process.umask());
  assert.equal(read('boxcar_last_success_timestamp_seconds'), 1015);
  const second = open();
  t.mock.timers.tick(15_000);
  assert.equal(read('boxcar_last_success_timestamp_seconds'), 1015);
  second.end(6);
  assert.deepEqual([read('boxcar_success'), read('boxcar_exit_code')], [0, 6]);
  assert.equal(read('boxcar_last_success_timestamp_seconds'), 1015);
  // Another job's time is not this one's.
  open({ ...labels, model: 'acme/y' }).end(6);
  assert.equal(read('boxcar_last_success_timestamp_seconds'), undefined);
  assert.deepEqual(readdirSync(directory), ['boxcar.prom']);
  assert.deepEqual(warnings, []);
});

test('a directory that is gone is told once, one that never was is a usage error', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const directory = join(tempDir(t), 'metrics');
  mkdirSync(directory);
  const warnings: string[] = [];
  const open = (path: string) => new MetricsFile(path, labels, (message) => warnings.push(message));
  const file = open(join(directory, 'a.prom'));
  rmSync(directory, { recursive: true });
  t.mock.timers.tick(45_000);
  file.end(0);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /^the metrics file cannot be written: ENOENT/);
  assert.throws(() => open(join(directory, 'a.prom')), {
    code: 'usage',
    message: /directory does not exist/,
  });
  mkdirSync(join(directory, 'b.prom'), { recursive: true });
  assert.throws(() => open(join(directory, 'b.prom')), { code: 'usage', message: /it is a directory/ });
  writeFileSync(join(directory, 'c'), '');
  assert.throws(() => open(join(directory, 'c', 'd.prom')), { code: 'usage', message: /cannot be written/ });
});
