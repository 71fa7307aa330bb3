import assert from 'node:assert/strict';
import {
  type BoxcarError,
  type PublishEvent,
  type PublishResult,
  type PushOptions,
  push,
} from '../../../src/index.ts';
import type { PublishState } from '../../../src/state/state-schema.ts';
import {
  type Dialect,
  type DialectName,
  type FakeRegistry,
  startFakeRegistry,
} from '../../support/fake-registry.ts';
import { type Hub, startHub } from '../../support/hub.ts';
import { oneCommit } from '../../support/models.ts';
import { tempDir } from '../../support/temp-dir.ts';

const size = 3_000_000;
export const model = oneCommit('acme/cut', {
  'config.json': '{"hidden_size":64}',
  'a.safetensors': { size: 1_000_000, seed: 1, lfs: true },
  'b.safetensors': { size, seed: 2, lfs: true },
});

interface Lifetime {
  after(cleanup: () => unknown): void;
}

export interface Interrupted {
  hub: Hub;
  registry: FakeRegistry;
  target: string;
  /** What a push from a machine without files gives; its warnings are kept. */
  push(options?: Partial<PushOptions>): Promise<PublishResult>;
  /** A push that fails in the middle of b.safetensors. */
  fail(options?: Partial<PushOptions>): Promise<BoxcarError>;
  warnings: string[];
  /** Every event, as the json log would have it. */
  events: PublishEvent[];
  /** State tags that are there, sorted. */
  stateTags(): string[];
  /** As the registry has it. */
  state(tag: string): PublishState;
}

/** A registry and a model whose push with `--state registry` can be made to fail in its middle. */
export async function startInterrupted(
  t: Lifetime,
  name: DialectName,
  changes: Partial<Dialect> = {},
  env: Record<string, string> = {},
): Promise<Interrupted> {
  const hub = await startHub({ models: [model] });
  const registry = await startFakeRegistry(name, changes);
  t.after(() => Promise.all([hub.close(), registry.close()]));
  const warnings: string[] = [];
  const events: PublishEvent[] = [];
  const target = `${registry.host}/acme/cut:v1`;
  const pushing = (options: Partial<PushOptions> = {}) =>
    push({
      model: model.name,
      target,
      state: 'registry',
      backoffMs: 1,
      ociMaxRetries: 2,
      failFast: false,
      env: { HOME: tempDir(), HF_ENDPOINT: hub.url, ...env },
      onEvent: (event) => {
        events.push(event);
        if (event.type === 'notice' && event.level === 'warning') warnings.push(event.message);
      },
      ...options,
    });
  return {
    hub,
    registry,
    target,
    warnings,
    events,
    push: pushing,
    async fail(options) {
      hub.faults.push({
        // Only the largest file is read in more than one range.
        match: { range: /bytes=(?!0-)/ },
        times: Infinity,
        action: { kind: 'status', status: 500 },
      });
      const error = await pushing({ hfMaxRetries: 0, ...options }).then(
        () => assert.fail('it was published'),
        (thrown) => thrown,
      );
      hub.faults.length = 0;
      return error;
    },
    stateTags: () =>
      [...registry.manifests.keys()]
        .filter((key) => /^acme\/cut:.*\.partial/.test(key))
        .map((key) => key.slice('acme/cut:'.length))
        .sort(),
    state(tag) {
      const manifest = registry.manifests.get(`acme/cut:${tag}`) ?? assert.fail(`no ${tag}`);
      const { config } = JSON.parse(manifest.bytes.toString());
      return JSON.parse((registry.blobs.get(config.digest) ?? assert.fail('no config')).toString());
    },
  };
}

export function layerOf({ layers }: PublishResult, path: string): PublishResult['layers'][number] {
  return layers.find((layer) => layer.path === path) ?? assert.fail(`no ${path}`);
}
