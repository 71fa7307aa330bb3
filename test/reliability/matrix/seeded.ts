import { createHash } from 'node:crypto';

/** Numbers that look random and are the same for the same seed. */
export interface Seeded {
  /** A whole number from 0 to `n` - 1. */
  below(n: number): number;
  shuffled<T>(items: readonly T[]): T[];
}

export function seededBy(seed: string): Seeded {
  let count = 0;
  const below = (n: number) => {
    count += 1;
    return createHash('sha256').update(`${seed} ${count}`).digest().readUIntBE(0, 6) % n;
  };
  return {
    below,
    shuffled(items) {
      const left = [...items];
      return items.map(() => left.splice(below(left.length), 1)[0] as (typeof items)[number]);
    },
  };
}
