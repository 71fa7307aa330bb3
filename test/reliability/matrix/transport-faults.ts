import type { ProxyFault } from '../../support/fault-proxy.ts';
import type { MatrixFault } from './matrix-fault.ts';
import { mib, weightsSize } from './model.ts';
import type { Step } from './steps.ts';

const isWindow = ({ name }: Step) => name.startsWith('CDN');
const isFile = ({ has }: Step) => has === 'file';
const isPatch = ({ name }: Pick<Step, 'name'>) => name.startsWith('PATCH');
/** Answered without a body: what is promised beyond the head is nothing to a client. */
const bodiless = /^(HEAD|GET upload|DELETE)/;
/** Short enough for a test, and long enough for a machine that does other things, too. */
const stalling = { stallMs: 2000 };

const connections: MatrixFault[] = [
  {
    name: 'down for a while',
    hub: () => ({ kind: 'down', ms: 150 }),
    registry: () => ({ kind: 'down', ms: 150 }),
    onceOnly: () => true,
    options: { backoffMs: 20, hfMaxRetries: 14, ociMaxRetries: 14 },
  },
  {
    name: 'down',
    hub: () => ({ kind: 'down', ms: Number.POSITIVE_INFINITY }),
    registry: () => ({ kind: 'down', ms: Number.POSITIVE_INFINITY }),
    onceOnly: () => true,
  },
  { name: 'reset', hub: () => ({ kind: 'reset' }), registry: () => ({ kind: 'reset' }) },
  { name: 'not HTTP', hub: () => ({ kind: 'garbage' }), registry: () => ({ kind: 'garbage' }) },
  {
    name: 'no answer',
    hub: () => ({ kind: 'hold' }),
    // These may take minutes: object stores flush their parts then.
    registry: ({ name }) =>
      isPatch({ name }) || name === 'PUT layer' || name === 'PUT config' ? undefined : { kind: 'hold' },
    options: stalling,
  },
  {
    name: 'answer lost',
    registry: ({ side, name }) =>
      side === 'token' || name === 'GET /v2/' ? undefined : { kind: 'lose-answer' },
  },
];

const cutAt = (name: string, of: (length: number) => number): MatrixFault => ({
  name,
  hub: (step) => {
    const length = isWindow(step) ? (step.name.includes('last') ? weightsSize % mib : mib) : 20;
    if (step.name.startsWith('probe')) return of(2) === 0 ? { kind: 'cut', after: 0 } : undefined;
    return { kind: 'cut', after: of(length) };
  },
  registry: (step) =>
    step.has !== 'bytes'
      ? { kind: 'cut-answer', after: of(20) }
      : { kind: 'cut', after: of(step.name === 'PATCH' ? weightsSize : isPatch(step) ? mib : 500) },
  // A byte at a time is progress, too: it would end, some day.
  onceOnly: (step) => of(1000) === 1 && isPatch(step),
});

const bodies: MatrixFault[] = [
  cutAt('cut at byte 0', () => 0),
  cutAt('cut at byte 1', () => 1),
  cutAt('cut in the middle', (length) => Math.floor(length / 2)),
  cutAt('cut at the last byte', (length) => length - 1),
  {
    name: 'chunked answer ends early',
    hub: (step) => (step.name.startsWith('probe') ? undefined : { kind: 'cut', after: 10, chunked: true }),
    registry: () => ({ kind: 'cut-answer', after: 10, chunked: true }),
  },
  {
    name: 'stall',
    hub: () => ({ kind: 'stall', after: 0 }),
    registry: ({ has, name }) =>
      has === 'bytes' || bodiless.test(name) ? undefined : { kind: 'stall-answer', after: 10 },
    options: stalling,
  },
  {
    name: 'trickle',
    hub: (step) => (step.name.startsWith('probe') ? undefined : { kind: 'trickle', pieces: 8, everyMs: 350 }),
    registry: (step) =>
      step.has === 'bytes'
        ? { kind: 'slow', bytesPerSecond: mib }
        : { kind: 'trickle', pieces: 8, everyMs: 350 },
    options: stalling,
  },
  {
    name: 'more than Content-Length',
    hub: (step) => (step.name.startsWith('probe') ? undefined : { kind: 'excess' }),
    registry: () => ({ kind: 'excess' }),
  },
  {
    name: 'half of the JSON',
    hub: ({ has }) => (has === 'json' ? { kind: 'half' } : undefined),
    registry: half,
  },
  {
    name: 'JSON of another shape',
    hub: ({ has }) =>
      has === 'json' ? { kind: 'status', status: 200, body: '{"error":[null]}' } : undefined,
    registry: ({ has }) =>
      has === 'json' ? { kind: 'status', status: 200, body: '{"errors":[null]}' } : undefined,
  },
];

function half({ has }: Step): ProxyFault | undefined {
  return has === 'json' ? { kind: 'rewrite', body: (text) => text.slice(0, text.length / 2) } : undefined;
}

const ranges: MatrixFault[] = [
  { name: '200 instead of 206', hub: (step) => (isFile(step) ? { kind: 'ignore-range' } : undefined) },
  { name: "gzip'd 200", hub: (step) => (isFile(step) ? { kind: 'gzip' } : undefined) },
  {
    name: 'Content-Range of another start',
    hub: (step) => (isFile(step) ? { kind: 'wrong-content-range' } : undefined),
  },
  {
    name: 'Content-Range of another size',
    hub: (step) => (isFile(step) ? { kind: 'wrong-content-range', value: 'bytes 0-9/10' } : undefined),
  },
  {
    name: 'Content-Range missing',
    hub: (step) => (isFile(step) ? { kind: 'wrong-content-range', value: '' } : undefined),
  },
  { name: 'short', hub: (step) => (isFile(step) ? { kind: 'short', by: 1 } : undefined) },
  { name: 'long', hub: (step) => (isFile(step) ? { kind: 'long', by: 100 } : undefined) },
  {
    name: 'a byte flipped',
    hub: (step) =>
      isFile(step) && !step.name.startsWith('probe')
        ? {
            kind: 'flip',
            at: isWindow(step)
              ? ['first', 'middle', 'last'].findIndex((word) => step.name.includes(word)) * mib + 77
              : 7,
          }
        : undefined,
    registry: (step) => (step.has === 'bytes' ? { kind: 'flip', at: 77 } : undefined),
  },
];

/** What goes wrong with connections and the bytes on them. */
export const transportFaults: readonly MatrixFault[] = [...connections, ...bodies, ...ranges];
