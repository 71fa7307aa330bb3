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
  /** Whether the bench goes on without it when it fails. */
  mayFail?: boolean;
  run(): Promise<Measured>;
}

/**
 * Runs everybody once, then once more, so that what else happens on the machine is everybody's.
 * @throws what the run of one has thrown that may not fail.
 */
export async function inTurn(
  { options, tell }: Bench,
  entrants: Entrant[],
): Promise<{ rows: Row[]; skipped: Skipped[] }> {
  const skipped: Skipped[] = [];
  const skip = (name: string, why: string) => {
    skipped.push({ name, why });
    tell(`skipped: ${name}, ${why}`);
  };
  const present = new Map<Entrant, Row>();
  for (const entrant of entrants) {
    const { name, bytes, missing } = entrant;
    const why = missing?.();
    if (why === undefined) present.set(entrant, { name, runs: [], ...(bytes && { bytes }) });
    else skip(name, why);
  }
  for (let round = 1; round <= options.rounds; round++) {
    for (const [entrant, { name, runs }] of present) {
      try {
        const measured = await entrant.run();
        runs.push(measured);
        tell(`round ${round}: ${name} ${told(measured)}`);
      } catch (error) {
        if (!entrant.mayFail) throw error;
        present.delete(entrant);
        tell((error as Error).message);
        skip(name, `it failed in round ${round}`);
      }
    }
  }
  return { rows: [...present.values()], skipped };
}

function told({ wallSeconds, cpuSeconds, peakBytes }: Measured): string {
  const peak = peakBytes === undefined ? '' : `, ${Math.round(peakBytes / 1024 / 1024)} MiB`;
  return `${wallSeconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s CPU${peak}`;
}
