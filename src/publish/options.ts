import { BoxcarError } from '../errors.ts';
import { pathFault } from '../formats/paths.ts';
import { type WeightFormat, weightFormats } from '../formats/weights.ts';
import { defaultEndpoint, isRevision, parseEndpoint, parseModelReference } from '../hub/model-reference.ts';
import { type Platform, parsePlatform } from '../oci/image.ts';
import {
  checkTag,
  type ImageReference,
  parseImageReference,
  parseRepository,
  parseTarget,
  type TargetReference,
} from '../oci/reference.ts';
import { dialectNames } from '../registry/dialects.ts';
import type { UploadChoice } from '../registry/upload-manner.ts';
import type { PublishListener } from './events.ts';
import { type LinkRates, parseBandwidth } from './link.ts';
import type { Shard } from './shards.ts';
import { type WorkerCount, workerCount } from './workers.ts';

/** What `push` is asked to do. Only model and target are needed. */
export interface PushOptions {
  /** `org/name`, `org/name@revision`, `hf://...`, or the URL of a model's page. */
  model: string;
  /** `registry[:port]/repository[:tag]`, or `oci:DIRECTORY[:tag]`. */
  target: string;
  /** Branch, tag or commit. Default `main`. */
  revision?: string | undefined;
  /** The hub's address. Default `HF_ENDPOINT` of `env`, then the public hub. */
  hfEndpoint?: string | undefined;
  /** The image's tag. Default: the first 12 digits of the commit. */
  tag?: string | undefined;
  /** Tags written after the first; these move freely. */
  alsoTags?: string[] | undefined;
  /** Globs on the path in the model's repository. Default: everything. */
  include?: string[] | undefined;
  exclude?: string[] | undefined;
  weights?: 'all' | WeightFormat | undefined;
  /** Directory in the image. Default `models/`. */
  layerPrefix?: string | undefined;
  /** `os/architecture[/variant]`. Default `linux/amd64`. */
  platform?: string | undefined;
  /**
   * Layers in flight, 1 to 32, or `auto`: what cores and memory hold, from 4 on while more bring more. Of small layers
   * (1 MiB) there are four times as many. Default 4.
   */
  workers?: number | 'auto' | undefined;
  /** Whether large files are compared with what the hub recorded of them. Default true; without, the hub is trusted. */
  verifyContent?: boolean | undefined;
  /**
   * Most bytes a second that are read of the hub's files, and sent to the registry, by all workers together: `200M`, `25MiB`
   * for each of the two; `down=200M,up=50M` where they differ, one alone leaves the other free. At least 1,000. Into an
   * image layout nothing is sent. Default: no cap.
   */
  bandwidth?: string | undefined;
  upload?: UploadChoice | undefined;
  /**
   * Size of an upload's chunks in MiB, 1 to 1024; kept within what the dialect takes. Each worker holds one in memory.
   * Default 16; less where there are more than eight workers.
   */
  chunkMib?: number | undefined;
  /** What the registry is taken for (`dialectNames`). Default: found out by its host name and its answers. */
  dialect?: string | undefined;
  /** Where progress is kept; `false` for nowhere. Default: a file of this publish's own in the user's state directory. */
  stateFile?: string | false | undefined;
  /**
   * `registry` keeps progress beside the image instead, as an artifact under the tag `<tag>.partial`, so that another
   * machine can go on. Default `file`.
   */
  state?: 'file' | 'registry' | undefined;
  /** Images on the same registry whose layers are looked at first; `:tag` in the target's own repository. */
  reuseFrom?: string[] | undefined;
  /** Repositories of the same registry in which images of the model are looked for, to mount their layers. */
  mountFrom?: string[] | undefined;
  /** Ask for every blob of an image that is there already. */
  check?: boolean | undefined;
  /** Attempts in a row without progress, 0 to 1000. Default 10. */
  hfMaxRetries?: number | undefined;
  ociMaxRetries?: number | undefined;
  /** Whether one failed layer stops the others. Default true. */
  failFast?: boolean | undefined;
  /** Move an existing tag that points elsewhere, and transfer again what is there. */
  force?: boolean | undefined;
  /** Refuse pickles and files that the hub's scanners flag. */
  denyUnsafe?: boolean | undefined;
  /** Speak http to the registry. On loopback https is tried, then http. */
  plainHttp?: boolean | undefined;
  /** No byte moving for so long is a stall, in ms, up to an hour. Default 30,000. */
  stallMs?: number | undefined;
  /** Wait before a first retry, in ms; doubled at each further one, with jitter. Default 500. */
  backoffMs?: number | undefined;
  /** Credentials, proxies, certificates and directories are looked up here. Default `process.env`. */
  env?: NodeJS.ProcessEnv | undefined;
  /** Ends the push cleanly, with everything saved. */
  signal?: AbortSignal | undefined;
  onEvent?: PublishListener | undefined;
}

/** What a part of a push is asked to do. Its progress is kept in the registry, where the other parts find it. */
export interface ShardOptions extends PushOptions {
  /** Bring one part of the layers only: `3/8`, from 1 to 8; `0/8` is `8/8`. */
  shard: string;
  /** Tag the image if all parts are done. */
  finalizeLast?: boolean | undefined;
}

/** What is needed to speak to a target. */
export interface CheckedTarget {
  target: TargetReference;
  upload: UploadChoice;
  chunkSize: number;
  dialect: string | undefined;
  ociMaxRetries: number;
  plainHttp: boolean;
  stallMs: number;
  backoffMs: number | undefined;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal | undefined;
  emit: PublishListener;
}

/** Options that have been checked, with every default in place. */
export interface CheckedOptions extends CheckedTarget {
  model: string;
  revision: string;
  endpoint: string;
  tag: string | undefined;
  alsoTags: string[];
  include: string[];
  exclude: string[];
  weights: 'all' | WeightFormat;
  prefix: string;
  platform: Platform;
  workers: WorkerCount;
  verifyContent: boolean;
  bandwidth: LinkRates;
  denyUnsafe: boolean;
  stateFile: string | false | undefined;
  state: 'file' | 'registry';
  reuseFrom: ImageReference[];
  mountFrom: string[];
  check: boolean;
  shard: Shard | undefined;
  finalizeLast: boolean;
  hfMaxRetries: number;
  failFast: boolean;
  force: boolean;
}

/** 16 MiB; where there are more than eight workers, so much less that their chunks take 128 MiB together. */
export function defaultChunkMib(workers: number): number {
  return Math.min(16, Math.floor(128 / workers));
}

/** What of the options is about the target. @throws BoxcarError `usage`. */
export function checkTarget(options: Omit<PushOptions, 'model'>): CheckedTarget {
  const { chunkMib = defaultChunkMib(checkWorkers(options.workers).most) } = options;
  return {
    target: parseTarget(options.target),
    upload: oneOf('upload', options.upload ?? 'auto', ['auto', 'stream', 'chunked']),
    chunkSize: within('chunk-mib', chunkMib, 1, 1024) * 1024 * 1024,
    dialect: checkDialect(options.dialect),
    ociMaxRetries: within('oci-max-retries', options.ociMaxRetries ?? 10, 0, 1000),
    plainHttp: options.plainHttp ?? false,
    stallMs: checkStall(options.stallMs ?? 30_000),
    backoffMs: options.backoffMs,
    env: options.env ?? process.env,
    signal: options.signal,
    emit: options.onEvent ?? (() => {}),
  };
}

/** @throws BoxcarError `usage` that names the option at fault; nothing has been done then. */
export function checkOptions(options: PushOptions | ShardOptions): CheckedOptions {
  const { target, env, ...spoken } = checkTarget(options);
  const reference = parseModelReference(options.model);
  return {
    model: reference.model,
    revision: agreed('revision', reference.revision, checkRevision(options.revision)) ?? 'main',
    endpoint: checkEndpoint(options.hfEndpoint || env.HF_ENDPOINT || defaultEndpoint, reference.endpoint),
    ...spoken,
    target,
    env,
    tag: agreed('tag', target.tag, options.tag === undefined ? undefined : checkTag(options.tag)),
    alsoTags: [...new Set((options.alsoTags ?? []).map(checkTag))],
    include: options.include ?? [],
    exclude: options.exclude ?? [],
    weights: oneOf('weights', options.weights ?? 'all', ['all', ...weightFormats]),
    prefix: checkPrefix(options.layerPrefix ?? 'models/'),
    platform: parsePlatform(options.platform ?? 'linux/amd64'),
    workers: checkWorkers(options.workers),
    verifyContent: options.verifyContent ?? true,
    bandwidth: options.bandwidth === undefined ? {} : parseBandwidth(options.bandwidth),
    denyUnsafe: options.denyUnsafe ?? false,
    stateFile: options.stateFile,
    ...checkState(options, target),
    reuseFrom: (options.reuseFrom ?? []).map((text) => parseImageReference(text, target)),
    mountFrom: (options.mountFrom ?? [])
      .map((text) => parseRepository(text, target))
      // What is in the target's own repository needs no mount.
      .filter((path) => target.kind !== 'registry' || path !== target.repository),
    check: options.check ?? false,
    hfMaxRetries: within('hf-max-retries', options.hfMaxRetries ?? 10, 0, 1000),
    failFast: options.failFast ?? true,
    force: options.force ?? false,
  };
}

/** A page of the public hub may be had from a mirror; any other page's host would be sent a token that is not meant for it. */
function checkEndpoint(text: string, page: string | undefined): string {
  const endpoint = parseEndpoint(text);
  const known = [new URL(endpoint).origin, defaultEndpoint, 'https://www.huggingface.co', 'https://hf.co'];
  if (page === undefined || known.includes(page)) return endpoint;
  throw usage(
    `the model's page is on ${page}, the hub in use is ${endpoint}`,
    `give --hf-endpoint ${page} as well`,
  );
}

function checkWorkers(workers: number | 'auto' = 4): WorkerCount {
  return workerCount(workers === 'auto' ? workers : within('workers', workers, 1, 32));
}

function checkStall(ms: number): number {
  if (ms >= 1 && ms <= 3_600_000) return ms;
  throw usage(`--stall-seconds must be from 1 to 3600, not ${ms / 1000}`);
}

function checkDialect(name: string | undefined): string | undefined {
  return name === undefined || name === 'auto' ? undefined : oneOf('dialect', name, dialectNames);
}

function checkRevision(revision: string | undefined): string | undefined {
  if (revision === undefined || isRevision(revision)) return revision;
  throw usage(`not a revision: ${JSON.stringify(revision)}`, 'name a branch, a tag or a commit of the model');
}

/** Where progress is kept, and how much of the plan is brought: what goes together and what does not. */
function checkState(
  { state = 'file', stateFile, shard: part, finalizeLast = false }: PushOptions & Partial<ShardOptions>,
  target: TargetReference,
): Pick<CheckedOptions, 'state' | 'shard' | 'finalizeLast'> {
  const shard = part === undefined ? undefined : parseShard(part);
  const where = oneOf('state', shard ? 'registry' : state, ['file', 'registry']);
  if (finalizeLast && !shard) throw usage('--finalize-last goes with --shard');
  if (where === 'registry' && target.kind === 'layout')
    throw usage(
      `${shard ? '--shard' : '--state registry'} needs a registry, ${target.directory} is a directory`,
    );
  if (where === 'registry' && stateFile !== undefined)
    throw usage(
      `${stateFile ? '--state-file' : '--no-state'} does not go with ${shard ? '--shard' : '--state registry'}`,
    );
  return { state: where, shard, finalizeLast };
}

function parseShard(text: string): Shard {
  const [, first, second] = /^(\d{1,4})\/(\d{1,4})$/.exec(text) ?? [];
  const [number, count] = [Number(first), Number(second)];
  if (count >= 1 && number <= count) return { index: number % count, count };
  throw usage(
    `--shard must be a part of all such as 3/8, not ${JSON.stringify(text)}`,
    'count from 1 to 8, or from 0 to 7',
  );
}

/** The same thing said in two places must be one thing. */
function agreed(
  what: string,
  inReference: string | undefined,
  option: string | undefined,
): string | undefined {
  if (inReference !== undefined && option !== undefined && inReference !== option) {
    throw usage(`two different ${what}s: ${inReference} and ${option}`, `give the ${what} once`);
  }
  return option ?? inReference;
}

/** `models` -> `models/`; an empty one is the image's root. */
function checkPrefix(text: string): string {
  const prefix = text.replace(/^\/+|\/+$/g, '');
  const fault = prefix === '' ? undefined : pathFault(prefix);
  if (fault)
    throw usage(`--layer-prefix ${fault}: ${JSON.stringify(text)}`, 'give a directory such as models/');
  return prefix === '' ? '' : `${prefix}/`;
}

function within(option: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw usage(`--${option} must be a whole number from ${least} to ${most}, not ${value}`);
}

function oneOf<T extends string>(option: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found) return found;
  throw usage(`--${option} must be one of ${choices.join(', ')}, not ${JSON.stringify(value)}`);
}

function usage(message: string, hint?: string): BoxcarError {
  return new BoxcarError(message, { code: 'usage', side: 'local', ...(hint ? { hint } : {}) });
}
