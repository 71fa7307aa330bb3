import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { type Hub, startHub } from '../support/hub.ts';
import { bigModel, tinyModel } from '../support/models.ts';
import { type Registry, startRegistry } from '../support/registries.ts';
import { runBoxcar, startBoxcar, tempDir } from '../support/run.ts';
import { sample, samplesOf } from './reporters/metrics-text.ts';
import { assertTrace, secondsShown, traceRecords } from './reporters/trace-rules.ts';

const size = 24 * 1024 * 1024;
const model = tinyModel();

describe('--metrics-file and --trace', () => {
  let hub: Hub;
  let slowHub: Hub;
  let registry: Registry;
  let proxy: FaultProxy;
  before(async () => {
    hub = await startHub({ models: [model] });
    slowHub = await startHub({ models: [bigModel({ files: 2, size })], bytesPerSecond: 500_000 });
    registry = await startRegistry({ kind: 'distribution-3' });
    proxy = await startFaultProxy(registry.url);
  });
  after(async () => {
    await Promise.all([hub.close(), slowHub.close(), proxy.close()]);
    await registry.stop();
  });

  /** Where the two files are to be, and what they hold. */
  function files(directory = tempDir()) {
    const paths = { metrics: join(directory, 'boxcar.prom'), trace: join(directory, 'trace.json') };
    return {
      ...paths,
      args: ['--metrics-file', paths.metrics, '--trace', paths.trace],
      text: () => readFileSync(paths.metrics, 'utf8'),
      records: () => traceRecords(readFileSync(paths.trace, 'utf8')),
    };
  }

  test('a push, with retries', async () => {
    const { args, text, records, trace } = files();
    proxy.faults.push({ match: { method: 'PATCH' }, action: { kind: 'status', status: 503 } });
    proxy.faults.push({
      match: { method: 'PUT', path: /manifests/ },
      action: { kind: 'status', status: 502 },
    });
    const target = `${proxy.host}/models/tiny`;
    const run = await runBoxcar(['push', `${model.name}@main`, target, '--json', ...args], {
      env: { HF_ENDPOINT: hub.url },
    });
    assert.equal(run.code, 0, run.stderr);
    const { totals, commit } = JSON.parse(run.stdout);
    const metrics = text();
    const own = `model="${model.name}",revision="main",target="${target}"`;
    for (const series of samplesOf(metrics).keys()) assert.ok(series.includes(`{${own}`), series);
    assert.equal(sample(metrics, 'boxcar_info', `commit="${commit}"`), 1);
    assert.equal(sample(metrics, 'boxcar_success'), 1);
    assert.equal(sample(metrics, 'boxcar_sent_bytes'), totals.bytesSent);
    assert.equal(sample(metrics, 'boxcar_read_bytes'), totals.bytesRead);
    assert.equal(sample(metrics, 'boxcar_layers', 'outcome="transferred"'), 9);
    assert.equal(sample(metrics, 'boxcar_retries', 'side="registry"', 'reason="status_503"'), 1);
    assert.equal(sample(metrics, 'boxcar_retries', 'side="registry"', 'reason="status_502"'), 1);
    const shown = records();
    assert.ok(readFileSync(trace, 'utf8').endsWith(']\n'));
    assertTrace(shown);
    for (const phase of ['hub', 'digest', 'registry', 'waiting'] as const) {
      const seconds = totals.phases[phase];
      assert.ok(Math.abs(secondsShown(shown, phase) - seconds) < 0.001, `${phase}: ${seconds} s`);
      const measured = sample(metrics, 'boxcar_phase_seconds', `phase="${phase}"`) ?? 0;
      assert.ok(Math.abs(measured - seconds) < 1e-6);
    }
    const names = (ph: string, tid?: number) =>
      shown
        .filter((each) => each.ph === ph && (tid === undefined || each.tid === tid))
        .map(({ name }) => name);
    assert.deepEqual(names('B', 0), ['listing', 'settling', 'transferring', 'committing']);
    assert.equal(names('B').length, 4 + 9);
    assert.deepEqual(names('i').sort(), ['retry: registry status_502', 'retry: registry status_503']);
    assert.deepEqual(names('i', 0), ['retry: registry status_502']);
    // As many rows of layers as there are workers.
    assert.ok(new Set(shown.map(({ tid }) => tid)).size <= 1 + 4 * 4);
  });

  test('a push that fails, after one that went well', async () => {
    const { args, text, records, metrics } = files();
    const env = { HF_ENDPOINT: hub.url, METRICS_FILE: metrics };
    const target = `${proxy.host}/models/failing`;
    assert.equal((await runBoxcar(['push', model.name, target], { env })).code, 0);
    const success = sample(text(), 'boxcar_last_success_timestamp_seconds');
    assert.ok(success);
    const fault = { match: { method: 'PATCH' }, times: Number.POSITIVE_INFINITY } as const;
    proxy.faults.push({ ...fault, action: { kind: 'status', status: 403 } });
    const run = await runBoxcar(['push', model.name, target, '--force', ...args], { env });
    proxy.faults.length = 0;
    assert.equal(run.code, 3, run.stderr);
    assert.equal(sample(text(), 'boxcar_success'), 0);
    assert.equal(sample(text(), 'boxcar_exit_code'), 3);
    assert.equal(sample(text(), 'boxcar_last_success_timestamp_seconds'), success);
    assert.ok((sample(text(), 'boxcar_layers', 'outcome="failed"') ?? 0) >= 1);
    const shown = records();
    assertTrace(shown);
    const failed = shown.find(({ args: facts }) => (facts as { outcome?: string })?.outcome === 'failed');
    assert.deepEqual(failed?.args && Object.keys(failed.args), ['outcome', 'size', 'code', 'side']);
  });

  test('a push that is stopped says so; one that is killed leaves a trace that can be read', async () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const { args, text, records, metrics, trace } = files();
      const program = startBoxcar(
        ['push', 'acme/big', `${registry.host}/models/${signal.toLowerCase()}`, ...args],
        {
          env: { HF_ENDPOINT: slowHub.url },
        },
      );
      // It is written while the push goes on.
      while (!existsSync(trace) || secondsShown(records(), 'hub') < 1) await delay(20);
      program.kill(signal);
      const { code } = await program.finished;
      const shown = records();
      assertTrace(shown);
      if (signal === 'SIGKILL') {
        assert.equal(existsSync(metrics), false);
        continue;
      }
      assert.equal(code, 143);
      assert.deepEqual([sample(text(), 'boxcar_running'), sample(text(), 'boxcar_success')], [0, 0]);
      assert.equal(sample(text(), 'boxcar_exit_code'), 143);
      assert.ok((sample(text(), 'boxcar_sent_bytes') ?? 0) > 0);
      assert.equal(shown.filter(({ ph }) => ph === 'B').length, shown.filter(({ ph }) => ph === 'E').length);
    }
  });

  test('a disk that is full ends the trace, not the push', { skip: !existsSync('/dev/full') }, async () => {
    const args = ['push', model.name, `${registry.host}/models/full`, '--trace', '/dev/full'];
    const { code, stderr } = await runBoxcar(args, { env: { HF_ENDPOINT: hub.url } });
    assert.equal(code, 0, stderr);
    assert.equal(
      stderr.match(/warning: the trace ends here, it cannot be written: ENOSPC/g)?.length,
      1,
      stderr,
    );
  });

  test('shards that share a machine have series of their own', async () => {
    const { args, text } = files();
    const command = ['push', model.name, `${registry.host}/models/shards`, '--shard', '1/2', ...args];
    const run = await runBoxcar(command, { env: { HF_ENDPOINT: hub.url } });
    assert.equal(run.code, 0, run.stderr);
    for (const series of samplesOf(text()).keys()) assert.match(series, /,shard="1\/2"/);
    const layers = sample(text(), 'boxcar_layers', 'outcome="transferred"') ?? 0;
    assert.ok(layers > 0 && layers < 9);
  });

  test('where a file cannot be written nothing is done; a plan writes none', async () => {
    const home = tempDir();
    const env = { HF_ENDPOINT: hub.url };
    const requests = hub.requests.length;
    for (const option of ['--metrics-file', '--trace']) {
      const args = ['push', model.name, 'oci:image', option, 'nowhere/file'];
      const { code, stderr } = await runBoxcar(args, { env, home });
      assert.equal(code, 2);
      assert.match(stderr, new RegExp(`${option} nowhere/file cannot be written`));
    }
    assert.equal(hub.requests.length, requests);
    assert.equal(existsSync(join(home, 'image')), false);
    const { args, metrics, trace } = files();
    const plan = await runBoxcar(['plan', model.name, 'oci:image', ...args], { env, home });
    assert.equal(plan.code, 0);
    assert.deepEqual([existsSync(metrics), existsSync(trace)], [false, false]);
  });
});
