import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { registryProgram } from './programs.ts';
import type { Registry } from './registries.ts';
import { tempDir } from './temp-dir.ts';

/** Runs the registry's own garbage collection, manifests without a tag included. */
export function collectGarbage({ kind, storageDir }: Pick<Registry, 'kind' | 'storageDir'>): void {
  const config = join(tempDir(), 'config.yml');
  const storage = { filesystem: { rootdirectory: storageDir }, delete: { enabled: true } };
  writeFileSync(config, JSON.stringify({ version: '0.1', storage, http: { addr: '127.0.0.1:0' } }));
  execFileSync(registryProgram(kind) ?? kind, ['garbage-collect', '-m', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, OTEL_TRACES_EXPORTER: 'none' },
  });
}
