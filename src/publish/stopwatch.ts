import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';

/** Measures a publish: how long it takes, and how much this machine computes while layers are brought. */
export class Stopwatch {
  /** CPU time of the process while layers were brought, in s. */
  cpuSeconds = 0;
  readonly #started = performance.now();
  #bringingMs = 0;
  #activeMs = 0;

  /** The part in which layers were brought. */
  get bringingSeconds(): number {
    return this.#bringingMs / 1000;
  }

  /** Since it was made. */
  get seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  /**
   * Share of the time in which layers were brought that there was no more computing to get, 0 to 1: the thread that every
   * byte passes was busy, or all cores were.
   */
  get cpuBusy(): number {
    if (this.#bringingMs === 0) return 0;
    const cores = (this.cpuSeconds * 1000) / availableParallelism();
    return Math.min(1, Math.max(this.#activeMs, cores) / this.#bringingMs);
  }

  /** Runs what brings layers. */
  async bringing<T>(work: () => Promise<T>): Promise<T> {
    const since = performance.now();
    const loop = performance.eventLoopUtilization();
    const cpu = process.cpuUsage();
    try {
      return await work();
    } finally {
      const { user, system } = process.cpuUsage(cpu);
      this.cpuSeconds += (user + system) / 1e6;
      this.#activeMs += performance.eventLoopUtilization(loop).active;
      this.#bringingMs += performance.now() - since;
    }
  }
}
