import { createHash } from 'node:crypto';
import type { Plan, PlanOptions } from '../../src/formats/modelcar.ts';
import type { ModelCard, ModelFile, Snapshot } from '../../src/hub/model-file.ts';
import type { Digest } from '../../src/oci/digest.ts';

export const defaults: PlanOptions = { prefix: 'models/', platform: { os: 'linux', architecture: 'amd64' } };

export function file(path: string, size = 10): ModelFile {
  return { path, size, contentId: `git:${createHash('sha1').update(path).digest('hex')}` };
}

export function snapshotOf(files: ModelFile[], card: ModelCard = {}): Snapshot {
  return { model: 'acme/tiny', commit: 'c0ffee'.padEnd(40, '0'), files, card };
}

/** As if the layers had been hashed: a digest for each, made of its name. */
export function digestsOf(plan: Plan): Digest[] {
  return plan.layers.map(({ name }): Digest => `sha256:${createHash('sha256').update(name).digest('hex')}`);
}

export function paths(files: ModelFile[]): string[] {
  return files.map(({ path }) => path);
}
