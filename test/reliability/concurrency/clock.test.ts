import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PublishResult } from '../../../src/index.ts';
import { startHub } from '../../support/hub.ts';
import { bigModel } from '../../support/models.ts';
import { describeEachRegistry, startRegistry } from '../../support/registries.ts';
import { runBoxcar } from '../../support/run.ts';
import { startTokenServer } from '../../support/token-server.ts';
import { long } from '../tally.ts';

const mb = 1_000_000;
const model = bigModel({ files: 2, size: 16 * mb, name: 'acme/clock' });

describeEachRegistry('a clock that jumps', (kind) => {
  if (!long && kind === 'distribution-2') return;
  test('does no harm: tokens, signed URLs, waits, and what is told', async (t) => {
    const users = { ci: 'secret' };
    // 16 MB a file, at 4 windows each: several lives of a token and, in the long run, a line of progress after 5 s.
    const hub = await startHub({ models: [model], bytesPerSecond: (long ? 0.6 : 2) * mb });
    const tokens = await startTokenServer({ users, expiresInSeconds: 2 });
    const registry = await startRegistry({ kind, auth: { token: tokens } });
    t.after(() => Promise.all([hub.close(), registry.stop(), tokens.close()]));
    hub.faults.push({
      match: { origin: 'cdn' },
      skip: 6,
      action: { kind: 'status', status: 503, headers: { 'retry-after': '1' } },
    });
    const started = performance.now();
    const { code, stdout, stderr } = await runBoxcar(
      ['push', model.name, `${registry.host}/x`, '--json', '--log-style', 'json'],
      {
        env: {
          HF_ENDPOINT: hub.url,
          OCI_USERNAME: 'ci',
          OCI_PASSWORD: 'secret',
          NODE_OPTIONS: `--import=${join(import.meta.dirname, 'clock-jumps.ts')}`,
        },
        timeoutMs: 120_000,
      },
    );
    const seconds = (performance.now() - started) / 1000;
    assert.equal(code, 0, stderr);
    const { totals, layers } = JSON.parse(stdout) as PublishResult;
    for (const each of [totals, ...layers]) assert.ok(each.seconds > 0 && each.seconds < seconds, stdout);
    assert.ok(totals.retries >= 1);

    // Every second one, and some for requests that met the end of one.
    const issued = tokens.requests.length;
    assert.ok(issued > 1 && issued <= 3 * seconds + 4, `${issued} tokens in ${seconds} s`);

    const lines = stderr.trim().split('\n');
    const told = lines.map((line) => JSON.parse(line) as { time: string; event: string } & Told);
    const times = told.map(({ time }) => Date.parse(time));
    assert.deepEqual(times, [...times].sort(), 'the log is in order');
    const first = times[0] as number;
    assert.ok((times.at(-1) as number) - first < 1000 * seconds);
    const progress = told.filter(({ event }) => event === 'layer-progress');
    assert.ok(progress.length > 0 || !long);
    for (const { bytesPerSecond, secondsLeft = 0 } of progress) {
      assert.ok(bytesPerSecond >= 0 && bytesPerSecond < 20 * mb, `${bytesPerSecond} bytes a second`);
      assert.ok(secondsLeft >= 0 && secondsLeft < 600, `${secondsLeft} s left`);
    }
  });
});

interface Told {
  bytesPerSecond: number;
  secondsLeft?: number;
}
