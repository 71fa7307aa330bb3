import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Whether everything runs (`npm run test:long`), or the short seeded part that belongs to `npm test`. */
export const long = process.env.BOXCAR_TEST_LONG === '1';

/** What a suite has counted, for README's reliability table. */
export interface Tally {
  /** What was done, how many times: `312 single faults at every step of the protocol, on 2 registries`. */
  what: string;
  /** What came of it: `298 published rightly, 14 refused with a message, 0 wrong`. */
  result: string;
  /** A page of its own, `docs/<name>.md`: everything between its marks. */
  page?: { name: string; text: string };
}

/** Tells what a suite has counted, and keeps it where `run.ts` collects it. */
export function tally(suite: string, counted: Tally): void {
  console.log(`${suite}: ${counted.what}: ${counted.result}`);
  const folder = process.env.BOXCAR_TALLIES;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${suite}.json`), JSON.stringify(counted));
}
