import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PublishResult, push } from '../../../src/index.ts';
import { type Hub, startHub } from '../../support/hub.ts';
import { oneCommit } from '../../support/models.ts';
import { type Registry, type RegistryKind, startRegistry } from '../../support/registries.ts';
import { inspectRegistry } from '../../support/registry-storage.ts';
import { type FinishedProgram, startBoxcar } from '../../support/run.ts';
import { tempDir } from '../../support/temp-dir.ts';
import type { Kill, KillPoint, Signals } from './kill-points.ts';
import { startWatchingProxy, type WatchingProxy } from './watching-proxy.ts';

const mb = 1_000_000;
const large = [32 * mb, 24 * mb, 20 * mb];

/** Three large files of odd sizes, many small ones, so that some are left near the end, and an empty one. */
export const model = oneCommit('acme/killed', {
  'config.json': '{"layers":3}',
  'empty.txt': '',
  'tokenizer.json': `[${'"token",'.repeat(20_000)}""]`,
  ...Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`prompts/${i}.txt`, `prompt ${i}`])),
  ...Object.fromEntries(
    large.map((size, i) => [
      `model-0000${i + 1}.safetensors`,
      { size: size + i * 77, seed: i + 1, lfs: true },
    ]),
  ),
});

/** What one run of the program came to. */
export interface Run {
  ended: FinishedProgram;
  /** Whether its kill point was reached. */
  reached: boolean;
}

/** One publish into one repository, run again and again with the same state, and what it cost in all. */
export class DisturbedPublish {
  readonly kind: RegistryKind;
  readonly hub: Hub;
  readonly registry: Registry;
  readonly proxy: WatchingProxy;
  readonly undisturbed: PublishResult;
  configDigest = '';
  readonly largeLayers: Set<string>;
  #repository = '';
  #args: string[] = [];
  #home = '';
  #lost = 0;
  #sessions = new Map<string, number>();
  #sentBefore = 0;
  #readBefore = 0;

  private constructor(
    kind: RegistryKind,
    hub: Hub,
    registry: Registry,
    proxy: WatchingProxy,
    undisturbed: PublishResult,
  ) {
    this.kind = kind;
    this.hub = hub;
    this.registry = registry;
    this.proxy = proxy;
    this.undisturbed = undisturbed;
    this.largeLayers = new Set(
      undisturbed.layers.filter(({ size }) => size > mb).map(({ digest }) => digest),
    );
  }

  static async start(kind: RegistryKind): Promise<DisturbedPublish> {
    const [hub, registry] = await Promise.all([startHub({ models: [model] }), startRegistry({ kind })]);
    const proxy = await startWatchingProxy(registry.url);
    const env = { HF_ENDPOINT: hub.url, HOME: tempDir() };
    const target = `${registry.host}/undisturbed`;
    const undisturbed = await push({ model: model.name, target, stateFile: false, env });
    const publish = new DisturbedPublish(kind, hub, registry, proxy, undisturbed);
    const manifest = await inspectRegistry(registry).manifest(
      'undisturbed',
      publish.undisturbed.manifestDigest,
    );
    publish.configDigest = manifest?.json.config.digest;
    return publish;
  }

  async stop(): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await Promise.all([this.registry.stop(), this.hub.close()]);
  }

  /** Begins a publish of its own: another repository, no state. */
  begin(repository: string, workers: number): void {
    this.#repository = repository;
    this.#home = tempDir();
    const state = ['--state-file', join(this.#home, 'state.json')];
    const tags = ['--target-tag', 'first', '--also-tag', 'second,third'];
    const target = `${this.proxy.host}/${repository}`;
    this.#args = [
      'push',
      model.name,
      target,
      ...tags,
      ...state,
      '--workers',
      `${workers}`,
      '--log-style',
      'json',
    ];
    this.#lost = 0;
    this.#sessions.clear();
    [this.#sentBefore, this.#readBefore] = this.#moved();
  }

  /** One run, ended at a point; none for one that nobody disturbs. */
  async run(point: KillPoint = { name: 'none' }, signals: Signals = 'SIGKILL'): Promise<Run> {
    const first = this.proxy.exchanges.length;
    const env = { HF_ENDPOINT: this.hub.url, ...point.env };
    const program = startBoxcar(this.#args, { env, home: this.#home, timeoutMs: 120_000 });
    let reached = false;
    const kill: Kill = async (by = signals) => {
      if (reached) return;
      reached = true;
      program.kill(by === 'SIGKILL' ? 'SIGKILL' : 'SIGTERM');
      if (by === 'SIGTERM, then SIGKILL') setImmediate(() => program.kill('SIGKILL'));
      if (by !== 'SIGTERM') await program.finished;
    };
    this.proxy.watch = point.watch?.(kill) ?? {};
    const ended = await program.finished;
    this.proxy.watch = {};
    if (point.env) reached = ended.signal === 'SIGKILL';
    await this.proxy.quiet();
    this.#account(first, ended.signal === 'SIGKILL');
    const what = `${point.name} (${signals}): ${ended.code ?? ended.signal}\n${ended.stderr}`;
    assert.doesNotMatch(ended.stderr, /is using the state file/, what);
    const fine = ended.code === 0 || (reached && (ended.signal === 'SIGKILL' || ended.code === 143));
    assert.ok(fine, `it ended by itself: ${what}`);
    await this.#assertRightOrNothing(what);
    return { ended, reached };
  }

  /** The bytes that sessions had which this run left open, when it was killed: distribution 2.8 drops them. */
  #account(first: number, killed: boolean): void {
    const exchanges = this.proxy.exchanges.slice(first);
    const open = new Set<string>();
    for (const { method, path, bytes, status } of exchanges) {
      if (!path.includes('/blobs/uploads/') || method === 'POST') continue;
      if (method === 'PUT' && status === 201) {
        open.delete(path);
        continue;
      }
      open.add(path);
      this.#sessions.set(path, (this.#sessions.get(path) ?? 0) + bytes);
    }
    if (killed) for (const path of open) this.#lost += this.#sessions.get(path) ?? 0;
  }

  async #assertRightOrNothing(what: string): Promise<void> {
    const inspection = inspectRegistry(this.registry);
    const blobs = new Set(inspection.blobs());
    for (const tag of inspection.tags(this.#repository)) {
      const manifest = await inspection.manifest(this.#repository, tag);
      assert.equal(manifest?.digest, this.undisturbed.manifestDigest, `${tag} after ${what}`);
      for (const { digest } of [manifest?.json.config, ...(manifest?.json.layers ?? [])]) {
        assert.ok(blobs.has(digest), `${tag} lacks ${digest} after ${what}`);
      }
    }
  }

  /** What must hold when a run has ended well. */
  assertDone(): void {
    const inspection = inspectRegistry(this.registry);
    assert.deepEqual(inspection.tags(this.#repository), ['first', 'second', 'third']);
    for (const { digest } of this.undisturbed.layers) {
      const hash = createHash('sha256').update(inspection.blob(digest)).digest('hex');
      assert.equal(`sha256:${hash}`, digest);
    }
    assert.ok(JSON.parse(readFileSync(join(this.#home, 'state.json'), 'utf8')).layers);
    // A run that finds its image complete looks at no state.
    const files = ['state.json', 'state.json.lock', 'state.json.synced'];
    const left = readdirSync(this.#home).filter((name) => name.startsWith('state.json'));
    assert.deepEqual(
      left.filter((name) => !files.includes(name)),
      [],
    );
  }

  /** Bytes that were sent and read beyond the model's own, and the bytes of sessions that a registry may have dropped. */
  cost(): { sent: number; read: number; lost: number; size: number } {
    const [sent, read] = this.#moved();
    const { size } = this.undisturbed.totals;
    return {
      sent: sent - this.#sentBefore - size,
      read: read - this.#readBefore - size,
      lost: this.#lost,
      size,
    };
  }

  #moved(): [sent: number, read: number] {
    const patches = this.proxy.exchanges.filter(({ method }) => method === 'PATCH');
    const read = [...this.hub.bytesOf.values()];
    return [patches.reduce((sum, { bytes }) => sum + bytes, 0), read.reduce((sum, bytes) => sum + bytes, 0)];
  }
}
