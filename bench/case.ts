import type { Measured } from './measure.ts';
import type { BenchOptions } from './options.ts';

/** Something that is measured, and what boxcar shall reach in it. Each is a file in cases/. */
export interface Case {
  name: string;
  /** What it is about, at the head of its table. */
  title: string;
  run(bench: Bench): Promise<CaseResult>;
}

/** What a case may use of the run it is part of. */
export interface Bench {
  options: BenchOptions;
  /** Where the registry's storage and the contenders' home directories are made, and removed. */
  dir: string;
  /** Of the sizes and numbers of files that the goals are about; 1 but in a trial. */
  scale: number;
  /** Says how far it is, to whoever waits. */
  tell(line: string): void;
}

export interface CaseResult {
  /** What was measured, in a sentence. */
  setting: string;
  rows: Row[];
  goals: Goal[];
  skipped: Skipped[];
}

/** One way to do it, in all rounds. */
export interface Row {
  name: string;
  runs: Measured[];
  /** What a run moves, in bytes; absent where CPU time a GiB says nothing. */
  bytes?: number;
  /** What else is to be said of it: a rate, a number of requests. */
  remark?: string;
}

export interface Goal {
  what: string;
  bound: 'at most' | 'at least';
  limit: number;
  unit: string;
  /** Absent where it could not be measured: `skipped` says why. */
  value: number | undefined;
}

export interface Skipped {
  name: string;
  why: string;
}

/** Something that can take part. */
export interface Entrant {
  name: string;
  /** In bytes. */
  bytes?: number;
  /** Why it cannot be run on this machine, or with this boxcar. */
  missing?(): string | undefined;
  run(): Promise<Measured>;
}

/** Runs everybody once, then once more, so that what else happens on the machine is everybody's. */
export async function inTurn(
  { options, tell }: Bench,
  entrants: Entrant[],
): Promise<{ rows: Row[]; skipped: Skipped[] }> {
  const skipped: Skipped[] = [];
  const present = entrants.filter(({ name, missing }) => {
    const why = missing?.();
    if (why !== undefined) skipped.push({ name, why });
    return why === undefined;
  });
  for (const { name, why } of skipped) tell(`skipped: ${name}, ${why}`);
  const rows: Row[] = present.map(({ name, bytes }) => ({ name, runs: [], ...(bytes && { bytes }) }));
  for (let round = 1; round <= options.rounds; round++) {
    for (const [index, { name, run }] of present.entries()) {
      const measured = await run();
      rows[index]?.runs.push(measured);
      const { wallSeconds, cpuSeconds, peakBytes } = measured;
      const peak = peakBytes === undefined ? '' : `, ${Math.round(peakBytes / 1024 / 1024)} MiB`;
      tell(`round ${round}: ${name} ${wallSeconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s CPU${peak}`);
    }
  }
  return { rows, skipped };
}
