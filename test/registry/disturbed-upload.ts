import type { TestContext } from 'node:test';
import { UploadManner } from '../../src/registry/upload-manner.ts';
import {
  type Dialect,
  type DialectName,
  type FakeFault,
  type FakeRegistry,
  startFakeRegistry,
} from '../support/fake-registry.ts';
import { digestOf, mib, seededBytes } from './setup.ts';

/** The blob that the tests of disturbed uploads send. */
export const bytes = seededBytes(3 * mib);
export const digest = digestOf(bytes);

export const auto = () => new UploadManner('auto', mib);

/** A registry for one test. */
export async function start(
  t: TestContext,
  dialect: DialectName = 'distribution3',
  changes: Partial<Dialect> = {},
): Promise<FakeRegistry> {
  const registry = await startFakeRegistry(dialect, changes);
  t.after(() => registry.close());
  return registry;
}

/** What becomes of its next requests of a method: so many times, after some that pass. */
export function fault(registry: FakeRegistry, method: string, action: FakeFault, times = 1, skip = 0): void {
  registry.faults.push({ match: { method }, times, skip, action });
}
