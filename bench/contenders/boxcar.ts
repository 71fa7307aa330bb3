import { spawnSync } from 'node:child_process';
import { existsSync, globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Contender, repository } from './contender.ts';

const checkout = join(import.meta.dirname, '../..');
/** As it is installed. */
export const program = join(checkout, 'dist/cli/main.js');

export const boxcar: Contender = {
  name: 'boxcar',
  missing: missingBoxcar,
  command({ hub, registryUrl, caFile, workers }) {
    const target = `${new URL(registryUrl).host}/${repository}:bench`;
    return {
      argv: [process.execPath, program, 'push', hub.model, target, '--workers', `${workers}`],
      env: { HF_ENDPOINT: hub.hubUrl, ...(caFile && { NODE_EXTRA_CA_CERTS: caFile }) },
    };
  },
};

function missingBoxcar(): string | undefined {
  if (!existsSync(program)) return 'dist/ is not built (npm run build)';
  const since = statSync(program).mtimeMs;
  const changed = globSync('src/**/*.ts', { cwd: checkout }).some(
    (file) => statSync(join(checkout, file)).mtimeMs > since,
  );
  return changed ? 'dist/ is older than src/ (npm run build)' : undefined;
}

/** boxcar with an option more, where it has that. */
export function boxcarWith(option: string): Contender {
  return {
    name: `boxcar ${option}`,
    missing: () => missingOption(option),
    command: (job) => {
      const { argv, env } = boxcar.command(job);
      return { argv: [...argv, option], env };
    },
  };
}

/**
 * Why boxcar cannot be given that, by what its help for a push says.
 * @param word what the option's description must name, such as a value that it takes.
 */
export function missingOption(option: string, word = ''): string | undefined {
  const missing = missingBoxcar();
  if (missing !== undefined) return missing;
  const { stdout } = spawnSync(process.execPath, [program, 'push', '--help'], { encoding: 'utf8' });
  const described = stdout
    .split(/\n +(?=--)/)
    .some((text) => text.startsWith(`${option} `) && text.includes(word));
  return described ? undefined : `this boxcar has no ${option} ${word}`.trimEnd();
}
