import type { TestContext } from 'node:test';
import {
  createReporter,
  type Reporter,
  type ReporterOptions,
  type Stderr,
} from '../../../src/cli/reporters/reporter.ts';
import { BoxcarError } from '../../../src/errors.ts';
import type {
  LayerAction,
  LayerResult,
  PlannedLayer,
  PublishEvent,
  PublishResult,
  ShardResult,
} from '../../../src/publish/events.ts';

export const digest = `sha256:${'ab'.repeat(32)}` as const;
export const size = 3_900_000_000;

export const resolved = {
  type: 'resolved',
  model: 'Qwen/Qwen2.5-7B-Instruct',
  commit: 'a09a35458c702b33eeacc393d103063234e8bc28',
  target: 'registry.acme.com/models/qwen-7b',
  tag: 'a09a35458c70',
} as const satisfies PublishEvent;

export function plannedLayer(path: string, action: LayerAction = 'transfer', why = ''): PlannedLayer {
  const toTransfer = { reuse: 0, mount: 0, resume: 1_500_000_000, transfer: size }[action];
  return { path, action, why, toTransfer, fileSize: size - 1536, size, contentId: digest };
}

/** The first ones are reused, the rest transferred. */
export function planned(paths: string[], reused = 0) {
  return plannedOf(paths.map((path, index) => plannedLayer(path, index < reused ? 'reuse' : 'transfer')));
}

export function plannedOf(layers: PlannedLayer[]) {
  const count = (action: LayerAction) => layers.filter((layer) => layer.action === action).length;
  return {
    type: 'planned',
    layers,
    size: layers.length * size,
    reused: count('reuse'),
    mounted: count('mount'),
    toTransfer: layers.reduce((sum, { toTransfer }) => sum + toTransfer, 0),
    workers: 4,
    upload: 'one stream a layer',
  } satisfies PublishEvent;
}

export function shard(number: number, of = 4): string {
  const digits = (count: number) => String(count).padStart(5, '0');
  return `model-${digits(number)}-of-${digits(of)}.safetensors`;
}

export function started(path: string, from = 0): PublishEvent {
  return { type: 'layer-started', path, size, from };
}

export function progress(path: string, offset: number): PublishEvent {
  return { type: 'layer-progress', path, size, offset };
}

export function retry(path: string, offset: number, delayMs = 2100): PublishEvent {
  return {
    type: 'layer-retry',
    path,
    side: 'hub',
    attempt: 1,
    of: 10,
    delayMs,
    offset,
    reason: 'connection',
    error: closedByHub,
  };
}

export const closedByHub = new BoxcarError('the hub closed the connection', {
  code: 'hub-failed',
  side: 'hub',
  request: { method: 'GET', url: 'https://cdn-lfs.hf.co/repos/ab/cd', status: 206 },
});

export const refused = new BoxcarError(
  'the registry refused the upload of model-00002-of-00004.safetensors',
  {
    code: 'unauthorized',
    side: 'registry',
    request: {
      method: 'PATCH',
      url: 'https://registry.acme.com/v2/models/qwen-7b/blobs/uploads/1',
      status: 401,
      answer: 'UNAUTHORIZED "authentication required"',
    },
    cause: new Error('credentials came from /home/ci/.docker/config.json, entry registry.acme.com'),
    hint: 'does this account have push access to models/qwen-7b?',
  },
);

/** What a layer's 17 s were spent on. */
const phases = { hub: 13.94, digest: 0.51, registry: 2.55, waiting: 0 };

export function layer(path: string, changes: Partial<LayerResult> = {}): LayerResult {
  const sent = { bytesSent: size, bytesRead: size, seconds: 17, phases, retries: 0 };
  return { path, digest, size, outcome: 'transferred', ...sent, ...changes };
}

export function done(path: string, changes: Partial<LayerResult> = {}, source?: string): PublishEvent {
  return { type: 'layer-done', result: layer(path, changes), ...(source !== undefined && { source }) };
}

export const reused = { outcome: 'reused', bytesSent: 0, bytesRead: 0, seconds: 0, size: 2048 } as const;

export const result: PublishResult = {
  model: resolved.model,
  commit: resolved.commit,
  imageRef: 'registry.acme.com/models/qwen-7b:a09a35458c70',
  imageRefDigest: `registry.acme.com/models/qwen-7b@${digest}`,
  manifestDigest: digest,
  tags: ['a09a35458c70'],
  layers: [layer('config.json', reused), layer(shard(1)), layer(shard(2))],
  totals: {
    layers: 3,
    size: 2 * size + 2048,
    reused: 1,
    mounted: 0,
    resumed: 0,
    transferred: 2,
    bytes: { reused: 2048, mounted: 0, resumed: 0, transferred: 2 * size },
    secondsSaved: 2048 / ((2 * size) / 41),
    savedAtBytesPerSecond: (2 * size) / 41,
    bytesSent: 2 * size,
    bytesRead: 2 * size,
    seconds: 41,
    retries: 0,
    phases: { hub: 27.88, digest: 1.02, registry: 5.1, waiting: 0 },
    waitingForHub: 0.82,
    cpuSeconds: 20,
    cpuBusy: 0.5,
    bottleneck: 'hub',
  },
};

const { imageRefDigest: _, manifestDigest: __, ...begun } = result;

export const shardResult: ShardResult = { shard: '3/8', ...begun };

/** A reporter whose text is kept and whose clock stands at 12:04:30 until the test moves it. */
export function told(t: TestContext, options: Partial<ReporterOptions> & { stderr?: Stderr } = {}) {
  const timers = t.mock.timers;
  const now = Date.UTC(2026, 5, 1, 12, 4, 30);
  timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'], now });
  const written: string[] = [];
  const stderr = { write: (text: string) => written.push(text) };
  const defaults = { style: 'text', quiet: false, verbose: false, stderr, env: {}, timeZone: 'UTC' } as const;
  const reporter = createReporter({ ...defaults, now: () => Date.now(), ...options });
  t.after(() => reporter.close());
  return {
    reporter,
    /** Everything written since the last call. */
    text: () => written.splice(0).join(''),
    /** In small steps, because a tick of the mock sets the clock to its end before any timer runs. */
    pass: (seconds: number) => {
      for (let step = 0; step < Math.round(seconds * 10); step++) timers.tick(100);
    },
  };
}

/** Bytes go through a layer for so many seconds at a steady pace, ten times a second. */
export function move(
  reporter: Reporter,
  pass: (seconds: number) => void,
  path: string,
  { from = 0, perSecond, seconds }: { from?: number; perSecond: number; seconds: number },
) {
  for (let step = 1; step <= seconds * 10; step++) {
    pass(0.1);
    reporter.event(progress(path, from + (step * perSecond) / 10));
  }
}
