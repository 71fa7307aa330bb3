import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { atExit } from '../test/support/exit.ts';
import { type Registry, startRegistry } from '../test/support/registries.ts';
import type { Authority } from '../test/support/tls.ts';
import type { Contender, Job } from './contenders/contender.ts';
import type { BenchHub } from './hub/start.ts';
import { type Measured, measure } from './measure.ts';
import { verifyStored } from './verify.ts';

export interface TransferOptions {
  hub: BenchHub;
  workers: Job['workers'];
  /** Of hub and registry; absent where both speak plain http. */
  authority?: Authority;
  /** Puts something between: has the work done with other addresses than the real ones. */
  around?: (registry: Registry, work: Work) => Promise<Measured>;
}

/** @param hubUrl the hub's own where it is not given. */
export type Work = (registryUrl: string, hubUrl?: string) => Promise<Measured>;

/**
 * One run of one contender, into a real registry that is new and empty.
 * @param dir where its storage and the contender's home directory are made, and removed.
 * @throws when the contender fails, or the registry does not have the model afterwards.
 */
export async function transfer(
  contender: Contender,
  dir: string,
  { hub, workers, authority, around = (registry, work) => work(registry.url) }: TransferOptions,
): Promise<Measured> {
  const folder = mkdtempSync(join(dir, 'boxcar-bench-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const callOff = atExit(remove);
  try {
    const storageDir = join(folder, 'registry');
    const directory = join(folder, 'home');
    mkdirSync(directory);
    await using registry = await startRegistry({
      kind: 'distribution-3',
      storageDir,
      ...(authority && { tls: authority }),
    });
    const measured = await around(registry, (registryUrl, hubUrl = hub.hubUrl) => {
      const caFile = authority?.caFile;
      const job = { hub: { ...hub, hubUrl }, registryUrl, caFile, workers, directory };
      return measure(contender.command(job), directory);
    });
    await verifyStored(storageDir, hub.files);
    return measured;
  } finally {
    remove();
    callOff();
  }
}
