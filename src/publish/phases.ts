/**
 * What a moment of a layer's transfer is spent on; each belongs to one of them. `hub`: waiting for the file's bytes, its
 * retries included. `digest`: hashing. `registry`: the target takes bytes, answers, opens and closes. `waiting`: our own
 * delay before the target is tried again.
 */
export type Phase = 'hub' | 'digest' | 'registry' | 'waiting';

/** Those that show where a layer's bytes are. */
export type BodyPhase = Exclude<Phase, 'waiting'>;

/** Seconds of each. Layers in flight at once count each for itself, so that a sum may be longer than the publish. */
export type Phases = Record<Phase, number>;

/**
 * What a publish would have been faster with less of: one of the phases, `bandwidth` where it was as fast as it was allowed
 * to be, or `cpu` where this process had no more computing to get; `none` where no phase took much more than another.
 */
export type Bottleneck = Phase | 'bandwidth' | 'cpu' | 'none';

export const phaseNames = ['hub', 'digest', 'registry', 'waiting'] as const satisfies Phase[];

/** Bytes below which a transfer says nothing about speed. */
export const telling = 8_000_000;
/** Share of the time from which on a thread counts as always busy: it also waits for the first and the last byte. */
const saturated = 0.9;
/** Share of what was allowed from which on that was the limit. */
const capped = 0.75;
/** A phase is the largest if the next one is smaller than that part of it. */
const clearly = 0.8;

export function noPhases(): Phases {
  return { hub: 0, digest: 0, registry: 0, waiting: 0 };
}

export function addPhases(sum: Phases, more: Phases): void {
  for (const phase of phaseNames) sum[phase] += more[phase];
}

export function secondsOf(phases: Phases): number {
  return phaseNames.reduce((sum, phase) => sum + phases[phase], 0);
}

/**
 * Our own cap, and on one thread a lack of computing, show as time of whatever is waited for: they are looked at first.
 * @param cpuBusy as in `Totals`.
 * @param allowed part of the bandwidth that was allowed which was used, in the direction that had less left; 0 to 1.
 * @returns `undefined` where too little was sent to tell.
 */
export function bottleneckOf(
  phases: Phases,
  { bytesSent, cpuBusy, allowed }: { bytesSent: number; cpuBusy: number; allowed: number },
): Bottleneck | undefined {
  if (bytesSent < telling) return undefined;
  if (allowed >= capped) return 'bandwidth';
  if (cpuBusy >= saturated) return 'cpu';
  const [first, second] = [...phaseNames].sort((a, b) => phases[b] - phases[a]) as [Phase, Phase];
  return phases[second] < clearly * phases[first] ? first : 'none';
}
