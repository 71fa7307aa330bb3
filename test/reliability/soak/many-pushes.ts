import { getEventListeners } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BoxcarError, type PushOptions, planPush, push } from '../../../src/index.ts';
import { descriptorsOf } from './watched.ts';

/** A process that pushes again and again through the library, in every way that a push can end, and tells what is left. */
export interface ManyPushes {
  hub: string;
  registry: string;
  /** Where nothing listens. */
  nowhere: string;
  folder: string;
  rounds: number;
}

/** What the process holds after a round. */
export interface Held {
  pushes: number;
  /** MiB, after a collection. */
  heap: number;
  buffers: number;
  descriptors: number;
  /** What keeps the process alive, without its own output. */
  resources: string[];
  processListeners: number;
  signalListeners: number;
  /** Files that someone has left with a temporary name. */
  temporary: string[];
}

const { hub, registry, nowhere, folder, rounds } = JSON.parse(process.argv[2] ?? '') as ManyPushes;
const forAll = new AbortController();
const common = { hfEndpoint: hub, backoffMs: 1, hfMaxRetries: 2, ociMaxRetries: 2, signal: forAll.signal };
const tiny = { ...common, model: 'acme/tiny' };
let pushes = 0;

/** Each way to end, and the code that it ends with. */
const ways: [code: string, (round: number) => Promise<unknown>][] = [
  ['', (round) => push({ ...tiny, target: `${registry}/acme/round-${round}` })],
  ['', () => push({ ...tiny, target: `${registry}/acme/round-0` })],
  [
    '',
    (round) => push({ ...tiny, target: `${registry}/acme/chunks-${round}`, upload: 'chunked', chunkMib: 1 }),
  ],
  ['', (round) => push({ ...tiny, target: `oci:${folder}/image:round-${round}` })],
  [
    '',
    (round) =>
      push({ ...common, model: 'acme/cut', target: `${registry}/acme/cut-${round}`, stateFile: false }),
  ],
  ['', () => planPush({ ...tiny, target: `${registry}/acme/planned` })],
  ['usage', () => push({ ...tiny, target: 'nonsense' })],
  ['not-found', () => push({ ...tiny, revision: 'no-such', target: `${registry}/acme/none` })],
  ['hub-failed', () => push({ ...common, model: 'acme/broken', target: `${registry}/acme/broken` })],
  ['content-mismatch', () => push({ ...common, model: 'acme/flipped', target: `${registry}/acme/flipped` })],
  ['registry-failed', () => push({ ...tiny, target: `${registry}/refusing/tiny` })],
  ['registry-failed', () => push({ ...tiny, target: `${registry}/cutting/tiny` })],
  ['registry-failed', () => push({ ...tiny, target: `${nowhere}/acme/tiny` })],
  ['layers-failed', () => push({ ...tiny, target: `${registry}/refusing/some`, failFast: false })],
  [
    'tag-exists',
    () => push({ ...common, model: 'acme/other', target: `${registry}/acme/round-0:${tagOfTiny}` }),
  ],
  ['stopped', () => push({ ...tiny, target: `${registry}/acme/never`, signal: AbortSignal.abort() })],
  ['stopped', () => stopped('planned', { ...tiny, target: `${registry}/stalling/planned` })],
  ['stopped', () => stopped('layer-started', { ...tiny, target: `${registry}/stalling/started` })],
  ['stopped', () => stopped('layer-progress', { ...tiny, target: `${registry}/stalling/progress` })],
  ['stopped', () => stopped('layer-started', { ...tiny, target: `oci:${folder}/stopped:t` })],
];
let tagOfTiny = '';

async function stopped(at: string, options: PushOptions): Promise<unknown> {
  const abort = new AbortController();
  const onEvent: PushOptions['onEvent'] = ({ type }) => {
    if (type === at) abort.abort();
  };
  const pushed = push({ ...options, signal: abort.signal, onEvent });
  await pushed.catch(() => {});
  const left = getEventListeners(abort.signal, 'abort').length;
  if (left > 0) throw new Error(`${left} listeners on the signal that stopped it`);
  return pushed;
}

async function held(): Promise<Held> {
  const outputs = ['PipeWrap', 'TTYWrap', 'FSReqPromise'];
  const resources = () => process.getActiveResourcesInfo().filter((name) => !outputs.includes(name));
  // Connections that were ended are closed by the next turns of the loop.
  for (const deadline = performance.now() + 5000; resources().length > 0 && performance.now() < deadline; )
    await delay(5);
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  const mib = 1024 * 1024;
  return {
    pushes,
    heap: heapUsed / mib,
    buffers: arrayBuffers / mib,
    descriptors: descriptorsOf('/proc/self').length,
    resources: resources(),
    processListeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    signalListeners: getEventListeners(forAll.signal, 'abort').length,
    temporary: readdirSync(join(folder, 'state', 'boxcar')).filter((name) => !/\.json(\.lock)?$/.test(name)),
  };
}

for (let round = 0; round < rounds; round++) {
  for (const [code, way] of ways) {
    pushes += 1;
    const came = await way(round).then(
      (result) => {
        if (round === 0 && tagOfTiny === '') tagOfTiny = (result as { tags: string[] }).tags[0] ?? '';
        return '';
      },
      (error) => (error instanceof BoxcarError ? error.code : String(error)),
    );
    if (came !== code) throw new Error(`round ${round}: ${way} ended with '${came}' instead of '${code}'`);
  }
  console.log(JSON.stringify(await held()));
}
