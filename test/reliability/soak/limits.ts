import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  type FaultProxy,
  type ProxyFault,
  type ProxyRequest,
  startFaultProxy,
} from '../../support/fault-proxy.ts';
import type { Fault } from '../../support/faults.ts';
import type { HubFault } from '../../support/hub/faults.ts';
import type { Model } from '../../support/hub/model.ts';
import { type Hub, type HubOptions, type HubRequest, startHub } from '../../support/hub.ts';
import { type RegistryKind, startRegistry } from '../../support/registries.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { temporaryAuthority } from '../../support/tls.ts';
import { type Peaks, type Watched, watchBoxcar } from './watched.ts';

export const mib = 1024 * 1024;

/**
 * Peak resident memory in MiB that a push may have. Chunks are held in memory on top of what a stream needs, which
 * `--help` says: 64 MiB with 4 workers, of which these leave room for half; 128 with 16, for which there is room.
 */
export const memoryLimit = (workers: number, chunks: boolean): number =>
  workers <= 4 ? 200 + (chunks ? 32 : 0) : 350;
/**
 * Sockets: a worker has a large file's windows on their way, or four small files with a connection to the hub, one to its
 * store and one to the registry each; idle ones stay for up to 10 s.
 */
export const socketLimit = (workers: number): number => 12 * workers + 16;
/** All descriptors: what node itself has open, the state file, and a file a worker in an image layout. */
export const descriptorLimit = (workers: number): number => socketLimit(workers) + workers + 36;
/** What a peak may have more in its second half, in MiB: the heap is not collected at the same moments. */
const noise = 32;

/** One push to be watched. */
export interface Soak {
  model: Model;
  workers?: number;
  args?: string[];
  /** Where it goes. Default: a real registry behind a proxy. */
  target?: 'registry' | 'layout';
  registry?: RegistryKind;
  tls?: boolean;
  hub?: Partial<HubOptions>;
  hubFaults?: Fault<HubRequest, HubFault>[];
  /** Bytes per second that the registry takes of each request. */
  registryRate?: number;
  registryFaults?: Fault<ProxyRequest, ProxyFault>[];
  /** Bytes that the registry has taken when it has been watched long enough: then SIGTERM. Default: to its end. */
  until?: number;
  /** When its second half begins. Default: when half of the bytes have moved. */
  isHalf?: (hub: Hub) => boolean;
}

/** Every soak of this process. */
const soaks: { workers: number; peaks: Peaks }[] = [];

/** The most that any of them has needed, in words. */
export function worst(): { pushes: number; result: string } {
  const most = (workers: number) => {
    const those = soaks.filter((each) => each.workers === workers).map(({ peaks }) => peaks);
    if (those.length === 0) return [];
    const memory = Math.max(...those.map((each) => each.memory)).toFixed(0);
    const sockets = Math.max(...those.map((each) => each.sockets));
    return [`at most ${memory} MiB and ${sockets} sockets at ${workers} workers`];
  };
  return { pushes: soaks.length, result: [4, 16].flatMap(most).join(', ') };
}

/** What a soak has come to. */
export interface Soaked {
  hub: Hub;
  proxy: FaultProxy | undefined;
  watched: Watched;
  seconds: number;
}

/** Runs a push and holds it to its limits; flat is one whose second half needs no more memory than the first. */
export async function soak(t: TestContext, job: Soak): Promise<Soaked> {
  const { model, workers = 4, args = [], target = 'registry', until } = job;
  const authority = job.tls ? await temporaryAuthority() : undefined;
  const tls = authority ? { tls: authority.server } : {};
  const hub = await startHub({ models: [model], ...tls, ...job.hub });
  t.after(() => hub.close());
  hub.faults.push(...(job.hubFaults ?? []));
  const proxy = target === 'registry' ? await slowRegistry(t, job, tls) : undefined;
  const where = proxy ? `${proxy.host}/acme/soaked:t` : `oci:${layoutFolder(t)}:t`;
  const watched = watchBoxcar(
    [
      'push',
      model.name,
      where,
      '--hf-endpoint',
      hub.url,
      '--workers',
      `${workers}`,
      '--log-style',
      'text',
      ...args,
    ],
    authority ? { NODE_EXTRA_CA_CERTS: authority.caFile } : {},
  );
  t.after(() => watched.kill('SIGKILL'));

  const taken = () => (proxy ? sum(proxy.requests.map(({ requestBytes }) => requestBytes)) : served(hub));
  const { isHalf = () => taken() >= (until ?? sizeOf(model)) / 2 } = job;
  const stages = [
    { due: () => isHalf(hub), act: () => watched.halfway() },
    { due: () => taken() >= (until ?? Infinity), act: () => watched.kill('SIGTERM') },
  ];
  const clock = setInterval(() => {
    if (stages[0]?.due()) stages.shift()?.act();
  }, 5);
  const { code, seconds } = await watched.ended.finally(() => clearInterval(clock));
  assert.equal(code, until === undefined ? 0 : 143, watched.stderr());

  const { memory, firstHalf, secondHalf, sockets, descriptors } = watched.peaks;
  soaks.push({ workers, peaks: watched.peaks });
  t.diagnostic(
    `${memory.toFixed(0)} MiB (first half ${firstHalf.toFixed(0)}, second ${secondHalf.toFixed(0)}), ${sockets} sockets, ${descriptors} descriptors, ${seconds.toFixed(1)} s`,
  );
  assert.ok(memory <= memoryLimit(workers, args.includes('chunked')), `${memory} MiB resident`);
  assert.ok(secondHalf > 0, 'it has not come to its second half');
  assert.ok(secondHalf <= firstHalf + noise, `${secondHalf} MiB after ${firstHalf} in the first half`);
  assert.ok(sockets <= socketLimit(workers), `${sockets} sockets`);
  assert.ok(descriptors <= descriptorLimit(workers), `${descriptors} descriptors`);
  assert.doesNotMatch(watched.stderr(), /Warning/);
  assert.deepEqual(hub.violations, []);
  return { hub, proxy, watched, seconds };
}

function sizeOf(model: Model): number {
  const files = Object.values(model.commits[0]?.files ?? {});
  return sum(files.map((file) => (typeof file === 'object' && 'size' in file ? file.size : 0)));
}

/** A test of nothing but the limits. */
export function within(job: Soak): (t: TestContext) => Promise<void> {
  return async (t) => {
    await soak(t, job);
  };
}

/** Bytes of files that the hub has sent. */
export function served(hub: Hub): number {
  return sum([...hub.bytesOf.values()]);
}

async function slowRegistry(t: TestContext, job: Soak, tls: object): Promise<FaultProxy> {
  const registry = await startRegistry({ kind: job.registry ?? 'distribution-3' });
  t.after(async () => {
    await registry.stop();
    rmSync(registry.storageDir, { recursive: true, force: true });
  });
  const rate = job.registryRate === undefined ? {} : { bytesPerSecond: job.registryRate };
  const proxy = await startFaultProxy(registry.url, { ...tls, ...rate });
  t.after(() => proxy.close());
  proxy.faults.push(...(job.registryFaults ?? []));
  return proxy;
}

function layoutFolder(t: TestContext): string {
  return join(tempDir(t), 'image');
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
