import type { BenchHub } from '../hub/start.ts';

/** What a run is about: this model into that registry. */
export interface Job {
  hub: Pick<BenchHub, 'hubUrl' | 'model' | 'commit' | 'files'>;
  /** `http://` or `https://` and `host:port`. */
  registryUrl: string;
  /** A PEM file with the authority of hub and registry; absent where both speak plain http. */
  caFile: string | undefined;
  /** Files in flight; `auto` is for boxcar alone. */
  workers: number | 'auto';
  /** An empty directory of this run's own, its home directory as well. */
  directory: string;
}

export interface Command {
  argv: string[];
  env: Record<string, string>;
}

/** A way to bring a model from a hub into a registry. */
export interface Contender {
  name: string;
  /** Why it cannot take part on this machine. */
  missing(): string | undefined;
  command(job: Job): Command;
}

/** In the registry. */
export const repository = 'bench/model';
