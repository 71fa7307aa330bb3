import { spawnSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The registries the suites run on. A kind is the line of versions that behaves alike (see the dialects). */
export const registryKinds = ['distribution-2', 'distribution-3'] as const;
export type RegistryKind = (typeof registryKinds)[number];

/** How to get each, for the line that says why a test was skipped. */
export const installHints: Record<RegistryKind, string> = {
  'distribution-2': 'apt-get install docker-registry',
  'distribution-3': 'go install github.com/distribution/distribution/v3/cmd/registry@latest',
};

const versions: Record<RegistryKind, RegExp> = {
  'distribution-2': /\bv?2\.\d/,
  'distribution-3': /\bv?3\.\d/,
};

const found = new Map<RegistryKind, string | undefined>();

/** The program of a kind, or undefined where this machine has none. Looked for once. */
export function registryProgram(kind: RegistryKind): string | undefined {
  if (!found.has(kind))
    found.set(
      kind,
      candidates().find((program) => versions[kind].test(version(program))),
    );
  return found.get(kind);
}

export function availableRegistries(): RegistryKind[] {
  return registryKinds.filter((kind) => registryProgram(kind) !== undefined);
}

function candidates(): string[] {
  const go = spawnSync('go', ['env', 'GOPATH'], { encoding: 'utf8' });
  const goPath = go.stdout?.trim() || join(homedir(), 'go');
  return ['docker-registry', 'registry', join(goPath, 'bin', 'registry')];
}

/** `registry github.com/docker/distribution 2.8.2+ds1`; empty where there is no such program. */
function version(program: string): string {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return stdout?.trim().split(' ').at(-1) ?? '';
}
