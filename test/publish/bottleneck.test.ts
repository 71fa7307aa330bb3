import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type PublishEvent, type PushOptions, push } from '../../src/index.ts';
import { phaseNames, secondsOf } from '../../src/publish/phases.ts';
import { type FaultProxyOptions, startFaultProxy } from '../support/fault-proxy.ts';
import { startHub } from '../support/hub.ts';
import { bigModel } from '../support/models.ts';
import { startRegistry } from '../support/registries.ts';
import { tempDir } from '../support/temp-dir.ts';

const mib = 1024 * 1024;
/** The kernel takes a few MiB of what a slow registry does not. */
const size = 24 * mib;

/** One file, into a real registry behind a proxy. */
async function parties(
  t: TestContext,
  hubOptions: { bytesPerSecond?: number } = {},
  proxyOptions: FaultProxyOptions = {},
) {
  const hub = await startHub({ models: [bigModel({ files: 1, size })], ...hubOptions });
  const registry = await startRegistry({ kind: 'distribution-3' });
  const proxy = await startFaultProxy(registry.url, proxyOptions);
  t.after(async () => {
    await Promise.all([hub.close(), proxy.close()]);
    await registry.stop();
  });
  const home = tempDir(t);
  const options: PushOptions = {
    model: 'acme/big',
    target: `${proxy.host}/models/big`,
    env: { HF_ENDPOINT: hub.url, HOME: home, XDG_STATE_HOME: join(home, 'state') },
    backoffMs: 1,
  };
  return { options, proxy };
}

async function pushed(options: PushOptions) {
  const events: PublishEvent[] = [];
  const onEvent = (event: PublishEvent) => {
    events.push(event);
    options.onEvent?.(event);
  };
  const { layers, totals } = await push({ ...options, onEvent });
  for (const { path, seconds, phases } of layers) {
    assert.ok(Math.abs(seconds - secondsOf(phases)) < 1e-6);
    // What is told on the way is all of it.
    const told = events.flatMap((event) =>
      event.type === 'layer-phases' && event.path === path ? [event] : [],
    );
    assert.ok(Math.abs(told.reduce((sum, event) => sum + secondsOf(event.phases), 0) - seconds) < 1e-6);
  }
  const told = events.filter((event) => event.type === 'layer-phases');
  const sum = (value: 'bytesRead' | 'bytesSent') => told.reduce((all, event) => all + event[value], 0);
  assert.deepEqual([sum('bytesRead'), sum('bytesSent')], [totals.bytesRead, totals.bytesSent]);
  const largest = [...phaseNames].sort((a, b) => totals.phases[b] - totals.phases[a])[0];
  return { totals, largest, told };
}

test('a slow hub is the bottleneck', async (t) => {
  const { options } = await parties(t, { bytesPerSecond: 2_000_000 });
  const { totals, largest, told } = await pushed(options);
  assert.equal(largest, 'hub');
  assert.equal(totals.bottleneck, 'hub', JSON.stringify(totals));
  // At most eight connections at a time, and more after half a second.
  assert.ok(totals.phases.hub > (size / 24e6) * 0.7);
  assert.ok(told.length < 4 * secondsOf(totals.phases) + 10, `${told.length} tellings`);
});

test('a slow registry is the bottleneck', async (t) => {
  const { options } = await parties(t, {}, { bytesPerSecond: 8_000_000 });
  const { totals, largest } = await pushed(options);
  assert.equal(largest, 'registry');
  assert.equal(totals.bottleneck, 'registry', JSON.stringify(totals));
  assert.ok(totals.phases.registry > (size / 8e6) * 0.7);
});

test('a registry that wants to be asked again later is waited for, which is a phase of its own', async (t) => {
  const { options, proxy } = await parties(t);
  const later = { kind: 'status', status: 503, headers: { 'retry-after': '2' } } as const;
  proxy.faults.push({ match: { method: 'PATCH' }, action: later });
  const { totals } = await pushed({ ...options, include: ['*.safetensors'] });
  assert.equal(totals.retries, 1);
  assert.ok(totals.phases.waiting >= 1.99 && totals.phases.waiting < 2.5, JSON.stringify(totals.phases));
});

test('a machine that has no more computing to give is the bottleneck, whatever was waited for', async (t) => {
  const { options } = await parties(t, { bytesPerSecond: 8_000_000 });
  const busy = (event: PublishEvent) => {
    if (event.type !== 'layer-progress') return;
    for (const until = performance.now() + 110; performance.now() < until; );
  };
  const { totals } = await pushed({ ...options, onEvent: busy });
  assert.ok(totals.cpuBusy > 0.9 && totals.cpuBusy <= 1, JSON.stringify(totals));
  assert.ok(totals.cpuSeconds > 1);
  assert.equal(totals.bottleneck, 'cpu');
});

test('where nothing is sent there is none', async (t) => {
  const { options } = await parties(t);
  await push(options);
  const { totals } = await push(options);
  assert.equal(totals.bottleneck, undefined);
  assert.deepEqual(totals.phases, { hub: 0, digest: 0, registry: 0, waiting: 0 });
});
