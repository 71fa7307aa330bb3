import { spawnSync } from 'node:child_process';
import { existsSync, globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchHub } from '../hub/start.ts';

/** What a run is about: this model into that registry. */
export interface Job {
  hub: BenchHub;
  /** `host:port` of a registry that speaks plain http. */
  registry: string;
  workers: number;
  /** An empty directory of this run's own, its home directory as well. */
  directory: string;
}

export interface Command {
  argv: string[];
  env: Record<string, string>;
}

/** A way to bring a model from a hub into a registry. */
export interface Contender {
  name: string;
  /** Why it cannot take part on this machine. */
  missing(): string | undefined;
  command(job: Job): Command;
}

const checkout = join(import.meta.dirname, '../..');
const repository = 'bench/model';

/** `boxcar` is the program as it is installed; run from its sources it also has their types to strip. */
export const contenders: Contender[] = [
  { name: 'boxcar', missing: missingDist, command: (job) => boxcar('dist/cli/main.js', job) },
  { name: 'boxcar-src', missing: () => undefined, command: (job) => boxcar('src/cli/main.ts', job) },
  {
    name: 'shell-pipe',
    missing: () => missingPrograms('curl', 'sha256sum', 'mkfifo', 'xargs'),
    command: ({ hub, registry, workers }) => ({
      argv: ['bash', join(import.meta.dirname, 'pipe.sh'), ...hub.files.map(({ path }) => path)],
      env: {
        HUB: `${hub.hubUrl}/${hub.model}/resolve/${hub.commit}`,
        REGISTRY: `http://${registry}/v2/${repository}`,
        WORKERS: `${workers}`,
      },
    }),
  },
  {
    name: 'hf+oras',
    missing: () => missingPrograms('hf', 'oras'),
    command: ({ hub, registry, workers }) => ({
      argv: ['bash', join(import.meta.dirname, 'hf-oras.sh')],
      env: {
        HF_ENDPOINT: hub.hubUrl,
        HF_HUB_DISABLE_TELEMETRY: '1',
        MODEL: hub.model,
        COMMIT: hub.commit,
        TARGET: `${registry}/${repository}:bench`,
        WORKERS: `${workers}`,
      },
    }),
  },
];

function boxcar(program: string, { hub, registry, workers }: Job): Command {
  const target = `${registry}/${repository}:bench`;
  return {
    argv: [
      process.execPath,
      join(checkout, program),
      ...['push', hub.model, target, '--workers', `${workers}`],
    ],
    env: { HF_ENDPOINT: hub.hubUrl },
  };
}

function missingDist(): string | undefined {
  const built = join(checkout, 'dist/cli/main.js');
  if (!existsSync(built)) return 'dist/ is not built (npm run build)';
  const since = statSync(built).mtimeMs;
  const changed = globSync('src/**/*.ts', { cwd: checkout }).some(
    (file) => statSync(join(checkout, file)).mtimeMs > since,
  );
  return changed ? 'dist/ is older than src/ (npm run build)' : undefined;
}

function missingPrograms(...names: string[]): string | undefined {
  const absent = names.filter(
    (name) => spawnSync('sh', ['-c', 'command -v "$0"', name], { stdio: 'ignore' }).status !== 0,
  );
  return absent.length > 0 ? `not on PATH: ${absent.join(', ')}` : undefined;
}
