import { join } from 'node:path';
import type { Exchange, Watch } from './watching-proxy.ts';

/** A place in a publish where its process ends. */
export interface KillPoint {
  name: string;
  /** What the process is started with, where it is to end by itself. */
  env?: Record<string, string>;
  /**
   * What watches for the place in one run. `kill` resolves when the process is no more (or, asked to end, at once), so that
   * what waits for it lets the registry act after the process's end.
   */
  watch?(kill: Kill): Watch;
}

export type Signals = 'SIGKILL' | 'SIGTERM' | 'SIGTERM, then SIGKILL';

/** Ends the process; by the signals that were drawn for this run, if no others are given. */
export type Kill = (signals?: Signals) => Promise<void>;

const moments = {
  arrived: 'before the registry has it',
  answered: 'done, but not answered',
  told: 'answered',
} as const;
type Moment = keyof typeof moments;

/** Whichever of them comes first; all but the first are certain to end the process. */
export function firstOf(...points: [KillPoint, ...KillPoint[]]): KillPoint {
  const [{ name, env }] = points;
  const first: KillPoint = {
    name,
    ...(env ? { env } : {}),
    watch(kill) {
      const watches = points.map((point, i) =>
        point.watch?.(() => {
          first.name = point.name;
          return kill(i > 0 ? 'SIGKILL' : undefined);
        }),
      );
      const all = (moment: keyof Watch) => async (exchange: Exchange) => {
        await Promise.all(watches.map((watch) => watch?.[moment]?.(exchange)));
      };
      return { arrived: all('arrived'), bytes: all('bytes'), answered: all('answered'), told: all('told') };
    },
  };
  return first;
}

/** What a request is for, so that a point can be named: `PUT of a layer`. */
export type Step = (exchange: Exchange) => string;

/** At a step of the protocol. */
export function atStep(step: string, moment: Moment, stepOf: () => Step): KillPoint {
  return {
    name: `${step}, ${moments[moment]}`,
    watch(kill) {
      const which = stepOf();
      const seen = new Set<Exchange>();
      const watch: Watch = {
        arrived(exchange) {
          if (which(exchange) !== step) return;
          seen.add(exchange);
          return moment === 'arrived' ? kill() : undefined;
        },
      };
      if (moment !== 'arrived') watch[moment] = (exchange) => (seen.has(exchange) ? kill() : undefined);
      return watch;
    },
  };
}

/** When so many bytes of layers have come to the registry in this run. */
export function atBytes(bytes: number): KillPoint {
  return {
    name: 'some byte',
    watch(kill) {
      let killed = false;
      const taken = new Map<Exchange, number>();
      return {
        bytes(exchange) {
          if (exchange.method !== 'PATCH' || killed) return undefined;
          taken.set(exchange, exchange.bytes);
          const sum = [...taken.values()].reduce((total, each) => total + each, 0);
          if (sum < bytes) return undefined;
          killed = true;
          return kill();
        },
      };
    },
  };
}

/** Before or after the how manieth time that a file gets its final name. */
export function atRename(moment: 'before' | 'after', count: number, name: string): KillPoint {
  const preload = join(import.meta.dirname, 'end-at-rename.ts');
  return {
    name: `${moment} the renaming of ${name}`,
    env: { NODE_OPTIONS: `--import=${preload}`, BOXCAR_END_AT: `${moment} ${count} ${name}` },
  };
}

/** The steps of one run, told apart: the config's blob is asked for right before it is sent. */
export function steps(configDigest: string, largeLayers: Set<string>): Step {
  let config = false;
  return ({ method, path, digest }) => {
    if (path.includes('/manifests/')) return `${method} of ${path.split('/').at(-1)}`;
    if (method === 'HEAD' && path.endsWith(configDigest)) config = true;
    if (digest !== undefined && largeLayers.has(digest)) return `${method} of a large layer`;
    const blob = config || digest === configDigest ? 'the config' : 'a layer';
    return `${method} of ${blob}`;
  };
}
