import { join } from 'node:path';
import { type PublishEvent, type PublishResult, push } from '../../../src/index.ts';
import type { PushOptions } from '../../../src/publish/options.ts';
import type { FaultProxy, ProxyRequest } from '../../support/fault-proxy.ts';
import type { FileSpec } from '../../support/hub/model.ts';
import type { Hub, HubRequest } from '../../support/hub.ts';
import { safetensors } from '../../support/models.ts';
import { tempDir } from '../../support/temp-dir.ts';

/** What a push from a machine that remembers nothing came to, and how much work it was. */
export interface Fresh {
  result: PublishResult;
  /** Paths of layers by what became of them. */
  reused: string[];
  mounted: string[];
  transferred: string[];
  warnings: string[];
  infos: string[];
  /** Why each transferred layer was planned so. */
  why: Record<string, string>;
  hubRequests: HubRequest[];
  /** Bytes of the model's files that left the hub. */
  hubBytes: number;
  registryRequests: ProxyRequest[];
}

export interface Parties {
  hub: Hub;
  /** Its requests are counted. */
  registry: Pick<FaultProxy, 'host' | 'requests'>;
}

/** A clean environment. */
export function machine(hub: Pick<Hub, 'url'>, env: NodeJS.ProcessEnv = {}) {
  const home = tempDir();
  return { HF_ENDPOINT: hub.url, HOME: home, XDG_STATE_HOME: join(home, 'state'), ...env };
}

/** Pushes from a new machine. `repository` may have a tag. */
export async function freshPush(
  { hub, registry }: Parties,
  model: string,
  repository: string,
  { env, onEvent, ...options }: Partial<Omit<PushOptions, 'shard'>> = {},
): Promise<Fresh> {
  const [hubBefore, registryBefore, bytesBefore] = [
    hub.requests.length,
    registry.requests.length,
    fileBytes(hub),
  ];
  const events: PublishEvent[] = [];
  const result = await push({
    model,
    target: `${registry.host}/${repository}`,
    backoffMs: 1,
    env: machine(hub, env),
    ...options,
    onEvent(event) {
      events.push(event);
      onEvent?.(event);
    },
  });
  const by = (...outcomes: string[]) =>
    result.layers.filter(({ outcome }) => outcomes.includes(outcome)).map(({ path }) => path);
  return {
    result,
    reused: by('reused'),
    mounted: by('mounted'),
    transferred: by('transferred', 'resumed'),
    warnings: warningsOf(events),
    infos: noticesOf(events, 'info'),
    why: Object.fromEntries(
      events
        .flatMap((event) => (event.type === 'planned' ? event.layers : []))
        .filter(({ action }) => action === 'transfer')
        .map(({ path, why }) => [path, why]),
    ),
    hubRequests: hub.requests.slice(hubBefore),
    hubBytes: fileBytes(hub) - bytesBefore,
    registryRequests: registry.requests.slice(registryBefore),
  };
}

export function warningsOf(events: PublishEvent[]): string[] {
  return noticesOf(events, 'warning');
}

function noticesOf(events: PublishEvent[], level: 'info' | 'warning'): string[] {
  return events.flatMap((event) => (event.type === 'notice' && event.level === level ? [event.message] : []));
}

/** How often something was asked for: `GET tags/list`, `HEAD blobs`. */
export function asked(requests: ProxyRequest[], method: string, what: RegExp): number {
  return requests.filter((request) => request.method === method && what.test(request.path)).length;
}

function fileBytes(hub: Hub): number {
  return [...hub.bytesOf.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** Small and large files, in git and in LFS. */
export const mixedFiles: Record<string, FileSpec> = {
  'README.md': '# A model\n',
  'config.json': '{"hidden_size":32}',
  'empty.txt': '',
  'extra.txt': 'of no use',
  'merges.txt': { bytes: safetensors(90_001, 5), lfs: false },
  'model-1.safetensors': safetensors(200_003, 1),
  'model-2.safetensors': safetensors(300_007, 2),
  'small.bin': { bytes: safetensors(2000, 3), lfs: true },
};
