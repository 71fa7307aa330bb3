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

/** As few cells as visit every fault, every step and both modes of each step; which ones, the seed says. */
export function sample(seeded: Seeded): Disturbance[] {
  const seen = new Set<string>();
  return seeded.shuffled(allCells).filter(({ step, fault, mode }) => {
    const fresh = [`fault ${fault.name}`, `step ${step.name} ${mode}`].filter((each) => !seen.has(each));
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
    // A layer is begun anew once, where its bytes were wrong; what needs that goes with nothing else that does.
    const costly = [...chosen, cell].filter(costsAFreshStart);
    if (costly.length < 2 && !chosen.includes(cell)) chosen.push(cell);
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
