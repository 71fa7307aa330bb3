import type { Row } from './case.ts';

export interface Spread {
  min: number;
  median: number;
}

export interface Summary {
  wall: Spread;
  cpu: Spread;
  cpuPerGib: Spread | undefined;
  /** The most of all runs, in MiB. */
  peakMib: number | undefined;
}

const mib = 1024 * 1024;

export function summaryOf({ runs, bytes }: Row): Summary {
  const wall = spread(runs.map(({ wallSeconds }) => wallSeconds));
  const cpu = spread(runs.map(({ cpuSeconds }) => cpuSeconds));
  const gib = bytes && bytes / (1024 * mib);
  const peaks = runs.map(({ peakBytes }) => peakBytes).filter((peak) => peak !== undefined);
  return {
    wall,
    cpu,
    cpuPerGib: gib ? { min: cpu.min / gib, median: cpu.median / gib } : undefined,
    peakMib: peaks.length > 0 ? Math.max(...peaks) / mib : undefined,
  };
}

/** Of the row of that name; undefined where it did not take part. */
export function summaryNamed(rows: Row[], name: string): Summary | undefined {
  const row = rows.find((each) => each.name === name);
  return row && summaryOf(row);
}

export function ratio(value: number | undefined, base: number | undefined): number | undefined {
  return value !== undefined && base ? value / base : undefined;
}

function spread(values: number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const at = (index: number) => sorted[index] as number;
  return { min: at(0), median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2 };
}
