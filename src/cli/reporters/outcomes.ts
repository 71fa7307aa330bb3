import type { LayerOutcome, PublishResult, Totals } from '../../publish/events.ts';
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
export function remarks(totals: Totals): string[] {
  const { secondsSaved, bytesSent, retries, waitingForHub } = totals;
  return [
    ...(secondsSaved >= 1 ? [savedText(totals)] : []),
    ...(bytesSent > 0 ? [slowerSide(waitingForHub)] : []),
    ...(retries > 0 ? [retries === 1 ? '1 retry' : `${retries} retries`] : []),
  ];
}

/** `about 35 s saved`; with the speed it was reckoned at, where that is not this run's own. */
function savedText({ secondsSaved, savedAtBytesPerSecond, bytesSent, seconds }: Totals): string {
  const measured = savedAtBytesPerSecond === bytesSent / seconds;
  return `about ${duration(secondsSaved)} saved${measured ? '' : ` at ${speed(savedAtBytesPerSecond)}`}`;
}

function slowerSide(waitingForHub: number): string {
  const share = percent(waitingForHub, 1);
  return waitingForHub >= 0.5
    ? `the hub was the slower side (${share} % of the time waiting for it)`
    : `the registry was the slower side (${share} % of the time waiting for the hub)`;
}
