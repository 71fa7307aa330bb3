import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Credentials, findCredentials } from '../../../src/registry/auth/credentials.ts';
import { tempDir } from '../../support/temp-dir.ts';

/** A user's home with credential files and helpers in it, and an environment that knows nothing else. */
export interface Home {
  path: string;
  env: NodeJS.ProcessEnv;
  /** Writes a file under the home, JSON unless it is text; gives its path. */
  write(name: string, content: unknown): string;
  /** Puts `docker-credential-<name>` on PATH: a script whose `$server` is what it was asked for. */
  helper(name: string, script: string): void;
  find(registry: string, repository?: string): Promise<Credentials>;
}

export function newHome(env: NodeJS.ProcessEnv = {}): Home {
  const path = tempDir();
  // The shell of the scripts is found by its path; what they call is built in.
  const home: Home = {
    path,
    env: { HOME: path, PATH: join(path, 'bin'), ...env },
    write(name, content) {
      const file = join(path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
      return file;
    },
    helper(name, script) {
      const file = home.write(`bin/docker-credential-${name}`, `#!/bin/sh\nread -r server\n${script}\n`);
      chmodSync(file, 0o755);
    },
    find: (registry, repository = 'acme/model') => findCredentials({ registry, repository, env: home.env }),
  };
  return home;
}

/** What `docker login` writes. */
export function login(username: string, password: string): { auth: string } {
  return { auth: Buffer.from(`${username}:${password}`).toString('base64') };
}

/** Everything an error could show in a log, as it is. */
export function everythingIn(error: unknown): string {
  if (error instanceof Error) {
    const { message, stack = '', cause, ...rest } = error as Error & Record<string, unknown>;
    return [message, stack, cause, ...Object.values(rest)].map(everythingIn).join('\n');
  }
  if (typeof error === 'object' && error !== null) return Object.values(error).map(everythingIn).join('\n');
  return String(error);
}
