import type { LayerOutcome, PublishResult, Totals } from '../../publish/events.ts';
import { type Phase, phaseNames, secondsOf } from '../../publish/phases.ts';
import { duration, percent, speed } from './format.ts';

/** The layers of one outcome: how many, and the bytes of them that were in the registry and that this run sent. */
export interface OutcomeSum {
  outcome: LayerOutcome;
  layers: number;
  there: number;
  sent: number;
}

/** One sum for each outcome, also for those that no layer had. */
export function outcomeSums({ layers, totals }: Pick<PublishResult, 'layers' | 'totals'>): OutcomeSum[] {
  const sent = { transferred: 0, reused: 0, mounted: 0, resumed: 0 };
  for (const layer of layers) sent[layer.outcome] += layer.bytesSent;
  const sum = (outcome: LayerOutcome) => ({
    outcome,
    layers: totals[outcome],
    // What `totals` counts as transferred are the bytes sent, those of resumed layers too.
    there: outcome === 'transferred' ? 0 : totals.bytes[outcome],
    sent: sent[outcome],
  });
  return [sum('transferred'), sum('reused'), sum('mounted'), sum('resumed')];
}

/** What else there is to say of a run: the time saved, the slower side, the retries; only what is worth it. */
export function remarks({ imageRef, totals }: Pick<PublishResult, 'imageRef' | 'totals'>): string[] {
  const { secondsSaved, bytesSent, retries } = totals;
  return [
    ...(secondsSaved >= 1 ? [savedText(totals)] : []),
    ...(bytesSent > 0 ? [slowerSide(totals, imageRef.startsWith('oci:') ? 'disk' : 'registry')] : []),
    ...(retries > 0 ? [retries === 1 ? '1 retry' : `${retries} retries`] : []),
  ];
}

/** `about 35 s saved`; with the speed it was reckoned at, where that is not this run's own. */
function savedText({ secondsSaved, savedAtBytesPerSecond, bytesSent, seconds }: Totals): string {
  const measured = savedAtBytesPerSecond === bytesSent / seconds;
  return `about ${duration(secondsSaved)} saved${measured ? '' : ` at ${speed(savedAtBytesPerSecond)}`}`;
}

/** What held the run up, and what the other phases took: `..., registry 12 %, hashing 9 %`. */
function slowerSide({ bottleneck, phases, cpuBusy }: Totals, target: 'registry' | 'disk'): string {
  if (bottleneck === undefined) return 'too little was sent to tell the slower side';
  const names = { hub: 'hub', digest: 'hashing', registry: target, waiting: 'retry delays' };
  const share = (phase: Phase) => percent(phases[phase], secondsOf(phases));
  const others = phaseNames
    .filter((phase) => phase !== bottleneck && share(phase) > 0)
    .sort((a, b) => phases[b] - phases[a])
    .map((phase) => `${names[phase]} ${share(phase)} %`);
  const words = {
    hub: () => `the hub was the slower side (${share('hub')} % of the time waiting for it)`,
    registry: () => `the ${target} was the slower side (${share('registry')} % of the time waiting for it)`,
    digest: () => `hashing on this machine was the slowest part (${share('digest')} % of the time)`,
    waiting: () => `the delays before retries were the slowest part (${share('waiting')} % of the time)`,
    cpu: () => `this machine's CPU was the limit (busy ${percent(cpuBusy, 1)} % of the time)`,
    bandwidth: () => '--bandwidth was the limit',
    none: () => 'no side was much slower than another',
  };
  return [words[bottleneck](), ...others].join(', ');
}
