import { availableParallelism, cpus } from 'node:os';
import type { Bench, Case, CaseResult, Goal, Row } from './case.ts';
import { type Summary, summaryNamed, summaryOf } from './spread.ts';
import { aligned } from './table.ts';

/** What one run of the bench has found. */
export interface Report {
  setting: string;
  cases: CaseReport[];
}

export interface CaseReport extends Omit<CaseResult, 'rows'>, Pick<Case, 'name' | 'title'> {
  rows: (Row & Summary)[];
}

export function makeReport({ options, dir, scale }: Bench, results: [Case, CaseResult][]): Report {
  return {
    setting:
      `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, Node ${process.versions.node}; distribution 3 on loopback, ` +
      `its storage on ${dir}; the median of ${options.rounds}, in turn.` +
      (scale === 1 ? '' : ` A trial: ${scale} of the sizes and numbers of files that the goals are about.`),
    cases: results.map(([{ name, title }, result]) => ({
      name,
      title,
      ...result,
      rows: result.rows.map((row) => ({ ...row, ...summaryOf(row) })),
    })),
  };
}

/** What shall be reached, and what is. */
export function goalsTable({ setting, cases }: Report): string {
  const rows = cases.flatMap(({ title, goals }) =>
    goals.map((goal, index) => [
      index === 0 ? title : '',
      `${goal.what}: ${goal.bound} ${quantity(goal.limit, goal.unit)}`,
      goal.value === undefined ? 'not measured' : quantity(round(goal.value), goal.unit),
      goal.value === undefined ? '-' : met(goal) ? 'met' : '**not met**',
    ]),
  );
  return [setting, '', ...aligned(['case', 'goal', 'measured', ''], rows, 2), ''].join('\n');
}

/** All that a case has measured. */
export function caseTable({ title, setting, rows, skipped }: CaseReport): string {
  const boxcar = summaryNamed(rows, 'boxcar');
  const rates = rows.some(({ cpuPerGib }) => cpuPerGib !== undefined);
  const remarks = rows.some(({ remark }) => remark !== undefined);
  const head = [
    ...['', 'wall s, min', 'median', ...(boxcar ? ['to boxcar'] : []), 'CPU s, min', 'median'],
    ...[...(rates ? ['CPU s/GiB'] : []), 'peak MiB', ...(remarks ? [''] : [])],
  ];
  const cells = rows.map(({ name, wall, cpu, cpuPerGib, peakMib, remark = '' }) => [
    name,
    wall.min.toFixed(2),
    wall.median.toFixed(2),
    ...(boxcar ? [(wall.median / boxcar.wall.median).toFixed(2)] : []),
    cpu.min.toFixed(2),
    cpu.median.toFixed(2),
    ...(rates ? [cpuPerGib?.median.toFixed(2) ?? '-'] : []),
    peakMib?.toFixed(0) ?? '-',
    ...(remarks ? [remark] : []),
  ]);
  const notes = skipped.map(({ name, why }) => `- skipped: ${name}, ${why}`);
  return [
    `**${title[0]?.toUpperCase()}${title.slice(1)}.** ${setting}`,
    ...(rows.length > 0 ? ['', ...aligned(head, cells)] : []),
    ...(notes.length > 0 ? ['', ...notes] : []),
    '',
  ].join('\n');
}

function met({ bound, limit, value = Number.NaN }: Goal): boolean {
  return bound === 'at most' ? value <= limit : value >= limit;
}

/** Three digits, and no decimals behind those. */
function round(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

function quantity(value: number | string, unit: string): string {
  return unit === '' ? `${value}` : `${value} ${unit}`;
}
