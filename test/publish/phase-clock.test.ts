import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { PhaseClock } from '../../src/publish/phase-clock.ts';
import { bottleneckOf, type Phases, secondsOf } from '../../src/publish/phases.ts';

function clockAt(t: TestContext) {
  let now = 5000;
  t.mock.method(performance, 'now', () => now);
  const told: Phases[] = [];
  const clock = new PhaseClock((spent) => told.push(spent));
  return {
    clock,
    told,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

/** Sums of ms in seconds, as they were meant. */
function rounded(phases: Phases | undefined) {
  return Object.fromEntries(
    Object.entries(phases ?? {}).map(([phase, seconds]) => [phase, Math.round(seconds * 1000)]),
  );
}

test('each moment belongs to one phase, and is told four times a second at most', (t) => {
  const { clock, told, pass } = clockAt(t);
  pass(10);
  for (let piece = 0; piece < 100; piece++) {
    clock.enter('hub');
    pass(5);
    clock.enter('digest');
    pass(2);
    clock.enter('registry');
    pass(3);
  }
  clock.stop();
  pass(1000);
  clock.enter('hub');
  assert.deepEqual(rounded(clock.spent), { hub: 500, digest: 200, registry: 310, waiting: 0 });
  assert.equal(told.length, 5);
  for (const each of told.slice(0, -1)) assert.ok(secondsOf(each) >= 0.25);
  const sum = told.reduce((all, each) => all + secondsOf(each), 0);
  assert.ok(Math.abs(sum - 1.01) < 1e-9);
});

test('a delay is waiting as long as it was to be or is, whatever goes on meanwhile', (t) => {
  const { clock, pass } = clockAt(t);
  clock.wait(400);
  pass(300);
  clock.enter('hub');
  pass(300);
  clock.enter('registry');
  clock.wait(1000);
  pass(50);
  clock.tell();
  assert.deepEqual(rounded(clock.spent), { hub: 200, digest: 0, registry: 0, waiting: 450 });
});

test('the bottleneck is the largest phase, if clearly, and computing before all of them', () => {
  const much = { bytesSent: 1e9, cpuBusy: 0.5, allowed: 0 };
  const phases = (hub: number, digest: number, registry: number, waiting = 0) => ({
    ...{ hub, digest, registry, waiting },
  });
  assert.equal(bottleneckOf(phases(5, 1, 3), much), 'hub');
  assert.equal(bottleneckOf(phases(1, 5, 3), much), 'digest');
  assert.equal(bottleneckOf(phases(1, 1, 3), much), 'registry');
  assert.equal(bottleneckOf(phases(1, 1, 3, 4), much), 'waiting');
  assert.equal(bottleneckOf(phases(3.1, 1, 3), much), 'none');
  assert.equal(bottleneckOf(phases(5, 1, 3), { ...much, cpuBusy: 0.95 }), 'cpu');
  assert.equal(bottleneckOf(phases(5, 1, 3), { ...much, allowed: 0.9 }), 'bandwidth');
  assert.equal(bottleneckOf(phases(5, 1, 3), { ...much, bytesSent: 1e6 }), undefined);
});
