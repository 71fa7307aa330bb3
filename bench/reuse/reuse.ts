/**
 * What a push costs where most of it is there already: requests and bytes, each time from a machine without state. The hub
 * is the tests' stand-in, the registry distribution 3 behind a proxy that counts.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startFaultProxy } from '../../test/support/fault-proxy.ts';
import type { FileSpec } from '../../test/support/hub/model.ts';
import { type Hub, startHub } from '../../test/support/hub.ts';
import { history, manyFiles } from '../../test/support/models.ts';
import { startRegistry } from '../../test/support/registries.ts';
import type { Command } from '../contenders/contender.ts';
import { measure } from '../measure.ts';
import { aligned } from '../table.ts';
import { startCountingProxy } from './counting-proxy.ts';

const program = join(import.meta.dirname, '../../dist/cli/main.js');
const mib = 1024 * 1024;
const shards = 4;
/** Before so many bytes of it are sent, the shard that is killed is killed. */
const killedAt = 6 * mib;

interface Row {
  what: string;
  registryRequests: number;
  hubRequests: number;
  /** Bytes, header fields included. */
  sent: number;
  received: number;
  hubBytes: number;
  wallSeconds: number;
  peakBytes: number | undefined;
}

/** The table, as Markdown. @param dir where the registry's storage is made, and removed. */
export async function benchReuse(dir: string): Promise<string> {
  const folder = mkdtempSync(join(dir, 'boxcar-bench-'));
  const files: Record<string, FileSpec> = { 'README.md': '# The model\n' };
  for (let n = 1; n < 100; n++) files[`part-${n}.safetensors`] = { size: mib, seed: n, lfs: true };
  const model = history('acme/llm', files, ['readme']);
  const [head, first] = model.commits as unknown as [{ id: string }, { id: string }];
  await using hub = await startHub({ models: [model, manyFiles(1000)] });
  await using registry = await startRegistry({
    kind: 'distribution-3',
    storageDir: join(folder, 'registry'),
  });
  await using proxy = await startFaultProxy(registry.url);
  const line = await startCountingProxy(Number(new URL(proxy.url).port));
  const rows: Row[] = [];

  const count = async (what: string, work: () => Promise<Pick<Row, 'wallSeconds' | 'peakBytes'>>) => {
    const before = {
      ...line,
      requests: proxy.requests.length,
      hub: hub.requests.length,
      hubBytes: bytesOf(hub),
    };
    const measured = await work();
    rows.push({
      what,
      registryRequests: proxy.requests.length - before.requests,
      hubRequests: hub.requests.length - before.hub,
      sent: line.sent - before.sent,
      received: line.received - before.received,
      hubBytes: bytesOf(hub) - before.hubBytes,
      ...measured,
    });
  };
  const command = (...args: string[]): Command => ({
    argv: [process.execPath, program, ...args],
    env: { HF_ENDPOINT: hub.url },
  });
  const run = (...args: string[]) => measure(command(...args), mkdtempSync(join(folder, 'home-')));

  try {
    const target = `${line.host}/models/llm`;
    const model1 = `acme/llm@${first.id}`;
    await count('new: 100 files of 1 MiB', () => run('push', model1, target));
    await count('unchanged', () => run('push', model1, target));
    await count('unchanged, every blob asked for (`--check`)', () => run('push', model1, target, '--check'));
    await count('another commit: one of 100 files changed', () => run('push', `acme/llm@${head.id}`, target));
    await count('another repository of the registry (`--mount-from`)', () =>
      run('push', model1, `${line.host}/models/other`, '--mount-from', 'models/llm'),
    );
    const sharded = `${line.host}/models/sharded`;
    await count(`${shards} shards, one killed in the middle and run again`, async () => {
      const started = performance.now();
      const push = (n: number) =>
        command('push', model1, sharded, '--shard', `${n}/${shards}`, '--finalize-last');
      await killed(push(1), () => line.sent, mkdtempSync(join(folder, 'home-')));
      const runs = Array.from({ length: shards }, (_, n) =>
        measure(push(n + 1), mkdtempSync(join(folder, 'home-'))),
      );
      const peaks = (await Promise.all(runs)).map(({ peakBytes = 0 }) => peakBytes);
      return { wallSeconds: (performance.now() - started) / 1000, peakBytes: Math.max(...peaks) };
    });
    const many = `${line.host}/models/many`;
    await run('push', 'acme/many', many);
    await count('`boxcar plan` of 1,000 files that are there', () =>
      run('plan', 'acme/many', `${many}:other`, '--reuse-from', `:${headTag(hub, 'acme/many')}`),
    );
    return table(rows);
  } finally {
    line.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a command and kills it once it has sent some MiB. */
async function killed({ argv, env }: Command, sent: () => number, home: string): Promise<void> {
  const before = sent();
  const [file = '', ...args] = argv;
  const child = spawn(file, args, { env: { PATH: process.env.PATH, HOME: home, ...env }, stdio: 'ignore' });
  const ended = once(child, 'exit');
  const look = setInterval(() => {
    if (sent() - before > killedAt) child.kill('SIGKILL');
  }, 1);
  await ended;
  clearInterval(look);
}

function headTag(hub: Hub, model: string): string {
  const tree = hub.requests.find(({ path }) => path.startsWith(`/api/models/${model}/tree/`));
  return tree?.path.split('/')[6]?.slice(0, 12) ?? '';
}

function bytesOf({ requests }: Hub): number {
  return requests.reduce((sum, { bytesSent }) => sum + bytesSent, 0);
}

function table(rows: Row[]): string {
  const head = [
    'push',
    'registry requests',
    'hub requests',
    'sent',
    'received',
    'from the hub',
    'wall s',
    'peak MiB',
  ];
  const cells = rows.map((row) => [
    row.what,
    `${row.registryRequests}`,
    `${row.hubRequests}`,
    kilobytes(row.sent),
    kilobytes(row.received),
    kilobytes(row.hubBytes),
    row.wallSeconds.toFixed(2),
    row.peakBytes === undefined ? '-' : (row.peakBytes / mib).toFixed(0),
  ]);
  const setting = 'Distribution 3 on loopback; bytes to and from the registry include header fields.';
  return [setting, '', ...aligned(head, cells), ''].join('\n');
}

function kilobytes(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
