import { registryKinds } from '../../support/registries.ts';
import { canHappen } from './cells.ts';
import { faults } from './faults.ts';
import { expected } from './rules.ts';
import { type Step, steps } from './steps.ts';

/** The tables of docs/faults.md: what every cell comes to, once and always. */
export function faultsPage(): string {
  const sides = [
    { title: 'The hub and its CDN', steps: steps.filter(({ side }) => side === 'hub') },
    { title: 'The registry and its token server', steps: steps.filter(({ side }) => side !== 'hub') },
  ];
  return sides.map(({ title, steps: columns }) => `### ${title}\n\n${table(columns)}`).join('\n\n');
}

function table(columns: Step[]): string {
  const head = ['fault', ...columns.map(({ name }) => name)];
  const rows = faults
    .filter((fault) => columns.some((step) => canHappen(fault, step)))
    .map((fault) => [fault.name, ...columns.map((step) => cellText(fault, step))]);
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function cellText(fault: (typeof faults)[number], step: Step): string {
  if (!canHappen(fault, step)) return '';
  const once = endOf(fault, step, 'once');
  const always = fault.onceOnly?.(step) ? undefined : endOf(fault, step, 'always');
  return always === undefined || always === once ? once : `${once} · ${always}`;
}

function endOf(fault: (typeof faults)[number], step: Step, mode: 'once' | 'always'): string {
  const ends = registryKinds.map((kind) => expected({ step, fault, mode }, kind) ?? '?');
  const [two = '?', three = '?'] = ends;
  return two === three ? three : `${three} (2.8: ${two})`;
}
