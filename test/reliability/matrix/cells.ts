import { registryKinds } from '../../support/registries.ts';
import { faults } from './faults.ts';
import type { MatrixFault, Places } from './matrix-fault.ts';
import { expected } from './rules.ts';
import type { Seeded } from './seeded.ts';
import type { Disturbance } from './stands.ts';
import { type Step, steps } from './steps.ts';

const nowhere: Places = { hub: 'http://h', registry: 'http://r', store: 'http://s', realm: 'http://t/token' };

/** Every fault at every step where it can happen, once and always. */
export const allCells: readonly Disturbance[] = steps.flatMap((step) =>
  faults
    .filter((fault) => canHappen(fault, step))
    .flatMap((fault) => {
      const once: Disturbance = { step, fault, mode: 'once' };
      return fault.onceOnly?.(step) ? [once] : [once, { step, fault, mode: 'always' } as const];
    }),
);

export function canHappen(fault: MatrixFault, step: Step): boolean {
  if (step.only && !step.only.test(fault.name)) return false;
  const action = step.side === 'hub' ? fault.hub?.(step, nowhere) : fault.registry?.(step, nowhere);
  return action !== undefined;
}

export function nameOf({ step, fault, mode }: Disturbance): string {
  return `${step.name}: ${fault.name}: ${mode}`;
}

/** As few cells as visit every step, `byFault` every fault as well; which ones, the seed says. */
export function sample(seeded: Seeded, byFault: boolean): Disturbance[] {
  const seen = new Set<string>();
  return seeded.shuffled(allCells).filter(({ step, fault }) => {
    const visits = [`step ${step.name}`, ...(byFault ? [`fault ${fault.name}`] : [])];
    const fresh = visits.filter((each) => !seen.has(each));
    for (const each of fresh) seen.add(each);
    return fresh.length > 0;
  });
}

/** Two or three faults in one push, each of which alone it would survive. */
export function combination(seeded: Seeded): Disturbance[] {
  const survivable = allCells.filter((cell) => cell.mode === 'once' && isCombinable(cell));
  const chosen: Disturbance[] = [];
  while (chosen.length < 2 + seeded.below(2)) {
    const cell = survivable[seeded.below(survivable.length)] as Disturbance;
    const both = [...chosen, cell];
    // A layer is begun anew once, where its bytes were wrong, and a new token refused once: no two that need the same.
    if (chosen.includes(cell) || both.filter(costsAFreshStart).length > 1) continue;
    if (both.filter(({ fault }) => fault.name.startsWith('401')).length > 1) continue;
    // Who asks for chunks gets no stream, although chunks are refused.
    if (both.some(({ step }) => step.options) && both.some(({ step }) => step.name === 'PATCH')) continue;
    chosen.push(cell);
  }
  return chosen;
}

function isCombinable(cell: Disturbance): boolean {
  if (cell.step.tls || cell.fault.tls) return false;
  return registryKinds.every((kind) => expected(cell, kind) === 'image');
}

function costsAFreshStart({ step, fault }: Disturbance): boolean {
  if (step.after?.hub) return true;
  return /^(a byte|Content-Range of another size|416|20.$|200, |Range too|another digest)/.test(fault.name);
}
