import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Trace, type TraceRecord } from '../../../src/cli/reporters/trace.ts';
import type { PublishEvent } from '../../../src/publish/events.ts';
import type { Phases } from '../../../src/publish/phases.ts';
import { done, refused, retry, size, started } from './story.ts';
import { assertTrace, secondsShown } from './trace-rules.ts';

function traced() {
  const records: TraceRecord[] = [];
  const clock = { now: 1000 };
  const trace = new Trace(
    'boxcar a -> b',
    (record) => records.push(record),
    () => clock.now,
  );
  return { trace, records, clock };
}

function spent(path: string, until: number, phases: Partial<Phases>): PublishEvent {
  const all = { hub: 0, digest: 0, registry: 0, waiting: 0, ...phases };
  return { type: 'layer-phases', path, phases: all, until, bytesRead: 10, bytesSent: 20 };
}

test('stages in the first row, layers in rows below, phases in layers, retries where they were', () => {
  const { trace, records, clock } = traced();
  trace.event({ type: 'stage', stage: 'listing' });
  clock.now = 2000;
  trace.event({ type: 'stage', stage: 'transferring' });
  clock.now = 3000;
  // What is told first may be what came before the layer has started.
  trace.event(spent('a', clock.now, { registry: 0.5 }));
  trace.event(started('a'));
  trace.event(spent('b', clock.now, { registry: 1 }));
  clock.now = 4000;
  trace.event(spent('a', clock.now, { hub: 0.6, digest: 0.1, registry: 0.3 }));
  trace.event(retry('a', 10));
  clock.now = 4500;
  trace.event(spent('a', clock.now, { waiting: 0.5 }));
  trace.event(done('a'));
  // Begun while the first was still in its row: it has a row of its own.
  trace.event(spent('c', clock.now, { hub: 1 }));
  clock.now = 5000;
  trace.event({ type: 'layer-failed', path: 'c', size, error: refused });
  trace.event(spent('d', clock.now, { hub: 0.4 }));
  trace.close();
  assertTrace(records);
  const told = records.map((record) => {
    const end = record.ph === 'X' ? `-${(record.ts + record.dur) / 1e6}` : '';
    return `${record.ph} ${record.tid} ${record.ph === 'M' ? '' : record.ts / 1e6}${end} ${record.name}`;
  });
  const shown = [...told].sort((a, b) => Number(a.split(' ')[1]) - Number(b.split(' ')[1]));
  assert.deepEqual(shown, [
    'M 0  process_name',
    'M 0  thread_name',
    'B 0 1 listing',
    'E 0 2 listing',
    'B 0 2 transferring',
    'E 0 5 transferring',
    'M 1  thread_name',
    'B 1 2.5 a',
    'X 1 2.5-3 registry',
    'X 1 3-3.6 hub',
    'X 1 3.6-3.7 digest',
    'X 1 3.7-4 registry',
    'i 1 4 retry: hub connection',
    'X 1 4-4.5 waiting',
    'E 1 4.5 a',
    'B 1 4.6 d',
    'X 1 4.6-5 hub',
    'E 1 5 d',
    'M 2  thread_name',
    'B 2 2 b',
    'X 2 2-3 registry',
    'E 2 5 b',
    'M 3  thread_name',
    'B 3 3.5 c',
    'X 3 3.5-4.5 hub',
    'E 3 5 c',
  ]);
  const args = (name: string) => records.find((each) => each.ph === 'E' && each.name === name)?.args;
  assert.deepEqual(args('a'), {
    ...{ outcome: 'transferred', size, bytesSent: size, bytesRead: size, retries: 0 },
  });
  assert.deepEqual(args('c'), { outcome: 'failed', size, code: 'unauthorized', side: 'registry' });
  assert.deepEqual(args('b'), { outcome: 'stopped' });
});

test('600 GB: a trace of a few MB, in which every second is accounted for', () => {
  // At 100 MB/s, told four times a second as in a push; at 30 MB/s, 32 layers at a time, told less often.
  for (const { seconds, layers, every } of [
    { seconds: 6000, layers: 4, every: 0.25 },
    { seconds: 20_000, layers: 32, every: 2 },
  ]) {
    let bytes = 0;
    let hub = 0;
    let now = 0;
    const write = (record: TraceRecord) => {
      bytes += JSON.stringify(record).length + 2;
      hub += secondsShown([record], 'hub');
    };
    const trace = new Trace('x', write, () => now);
    const phases = { hub: 0.4 * every, digest: 0.2 * every, registry: 0.3 * every, waiting: 0.1 * every };
    for (let told = 1; told <= seconds / every; told++) {
      now = told * every * 1000;
      for (let layer = 0; layer < layers; layer++) trace.event(spent(`model-${layer}`, now, phases));
    }
    trace.close();
    assert.ok(bytes < 50e6, `${bytes} bytes`);
    assert.ok(Math.abs(hub - 0.4 * seconds * layers) < 1, `${hub} s of the hub`);
  }
});
