import { availableParallelism, cpus } from 'node:os';
import type { Measured } from './measure.ts';
import type { BenchOptions } from './options.ts';

const mib = 1024 * 1024;

export interface Entry {
  name: string;
  runs: Measured[];
}

export interface Skipped {
  name: string;
  why: string;
}

export interface Report {
  setting: string;
  entries: Summary[];
  skipped: Skipped[];
  targets: Target[];
}

interface Summary extends Entry {
  wall: Spread;
  cpu: Spread;
  cpuPerGib: Spread;
  /** The most of all runs, in MiB. */
  peakMib: number | undefined;
}

interface Spread {
  min: number;
  median: number;
}

/** What boxcar shall reach: at most `limit`. */
interface Target {
  what: string;
  value: number;
  limit: number;
  met: boolean;
}

/** @param storage what the registry's storage lies on. */
export function makeReport(
  options: BenchOptions,
  storage: string,
  entries: Entry[],
  skipped: Skipped[],
): Report {
  const { files, sizeMib, rounds, workers } = options;
  const summaries = entries.map((entry) => summaryOf(entry, (files * sizeMib) / 1024));
  const setting =
    `${files} files of ${sizeMib} MiB into distribution 3 on loopback, ${workers} at a time, ${rounds} rounds in turn; ` +
    `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, Node ${process.versions.node}, registry on ${storage}`;
  return { setting, entries: summaries, skipped, targets: targetsOf(summaries) };
}

/** The report as Markdown that can be read as it is. */
export function tableOf({ setting, entries, skipped, targets }: Report): string {
  const boxcar = boxcarOf(entries);
  const ratio = (value: number, base: number | undefined) => (base ? `${(value / base).toFixed(2)}` : '-');
  const head = [
    'contender',
    'wall s, min',
    'median',
    'to boxcar',
    'CPU s, min',
    'median',
    'CPU s/GiB',
    'to boxcar',
    'peak MiB',
  ];
  const rows = entries.map(({ name, wall, cpu, cpuPerGib, peakMib }) => [
    name,
    wall.min.toFixed(2),
    wall.median.toFixed(2),
    ratio(wall.median, boxcar?.wall.median),
    cpu.min.toFixed(2),
    cpu.median.toFixed(2),
    cpuPerGib.median.toFixed(2),
    ratio(cpu.median, boxcar?.cpu.median),
    peakMib?.toFixed(0) ?? '-',
  ]);
  return [
    `${setting}.`,
    '',
    ...aligned(head, rows),
    '',
    ...targets.map(
      ({ what, value, limit, met }) => `- ${what}: ${value.toFixed(2)}, ${met ? 'within' : 'over'} ${limit}`,
    ),
    ...skipped.map(({ name, why }) => `- skipped: ${name}, ${why}`),
    '',
  ].join('\n');
}

function summaryOf(entry: Entry, gib: number): Summary {
  const wall = spread(entry.runs.map(({ wallSeconds }) => wallSeconds));
  const cpu = spread(entry.runs.map(({ cpuSeconds }) => cpuSeconds));
  const cpuPerGib = { min: cpu.min / gib, median: cpu.median / gib };
  const peaks = entry.runs.map(({ peakBytes }) => peakBytes).filter((bytes) => bytes !== undefined);
  return { ...entry, wall, cpu, cpuPerGib, peakMib: peaks.length > 0 ? Math.max(...peaks) / mib : undefined };
}

function spread(values: number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const at = (index: number) => sorted[index] as number;
  return { min: at(0), median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2 };
}

/** The one that the others are compared with: as installed, or from its sources where it is not built. */
function boxcarOf(entries: Summary[]): Summary | undefined {
  return entries.find(({ name }) => name === 'boxcar') ?? entries.find(({ name }) => name === 'boxcar-src');
}

function targetsOf(entries: Summary[]): Target[] {
  const boxcar = boxcarOf(entries);
  const pipe = entries.find(({ name }) => name === 'shell-pipe');
  if (!boxcar) return [];
  const targets: Target[] = [];
  const target = (what: string, value: number | undefined, limit: number) => {
    if (value !== undefined) targets.push({ what, value, limit, met: value <= limit });
  };
  target("boxcar's wall time, of the shell pipe's", pipe && boxcar.wall.median / pipe.wall.median, 0.7);
  target("boxcar's CPU seconds a GiB, content verified", boxcar.cpuPerGib.median, 2.8);
  target("boxcar's resident memory in MiB", boxcar.peakMib, 200);
  return targets;
}

/** A Markdown table that can be read as it is. */
export function aligned(head: string[], rows: string[][]): string[] {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)];
}
