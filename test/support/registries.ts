import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { atExit } from './exit.ts';
import { type HtpasswdUsers, htpasswdFile } from './htpasswd.ts';
import { installHints, type RegistryKind, registryKinds, registryProgram } from './programs.ts';
import { quickTempDir } from './temp-dir.ts';
import type { TokenServer } from './token-server.ts';

export { availableRegistries, type RegistryKind, registryKinds } from './programs.ts';

export interface RegistryOptions {
  kind: RegistryKind;
  auth?: 'none' | { htpasswd: HtpasswdUsers } | { token: TokenServer };
  /** Paths of PEM files, as temporaryAuthority() gives them. */
  tls?: { keyFile: string; certFile: string };
  /** Default: a new one, removed with the process. */
  storageDir?: string;
  /** Whether blobs and manifests may be deleted. Default true. */
  delete?: boolean;
}

export interface Registry extends AsyncDisposable {
  kind: RegistryKind;
  /** `127.0.0.1:<port>` */
  host: string;
  /** `http://` or `https://` and host. */
  url: string;
  storageDir: string;
  /** What it wrote so far, of every run. */
  log(): string;
  /** Kills it, as a crash would. */
  stop(): Promise<void>;
  /** Stops it and starts it again on the same port and storage: uploads under way are cut. */
  restart(): Promise<void>;
}

/** How long a registry may take from its start to its first answer. */
const deadlineMs = 20_000;

/** A real registry as a child process on a free loopback port. */
export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const program = registryProgram(options.kind);
  if (program === undefined) throw new Error(missing(options.kind));
  const folder = quickTempDir();
  const storageDir = options.storageDir ?? join(folder, 'storage');
  mkdirSync(storageDir, { recursive: true });
  const configFile = join(folder, 'config.yml');
  let output = '';
  let child: ChildProcess | undefined;

  const start = async (port: number): Promise<number> => {
    // JSON is YAML. Port 0: the system picks a free one, and the log says which.
    writeFileSync(configFile, JSON.stringify(configuration(options, folder, storageDir, port)));
    const started = spawn(program, ['serve', configFile], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment(),
    });
    child = started;
    started.once(
      'exit',
      atExit(() => started.kill('SIGKILL')),
    );
    const before = output.length;
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
      });
    }
    try {
      const bound = await boundPort(started, () => output.slice(before));
      // A registry that a test forgot to stop must not keep the test process alive.
      for (const handle of [started, started.stdout, started.stderr] as { unref?(): void }[])
        handle.unref?.();
      return bound;
    } catch (error) {
      started.kill('SIGKILL');
      throw new Error(`${options.kind} ${(error as Error).message}; it said:\n${output.slice(before)}`);
    }
  };

  const stop = async (): Promise<void> => {
    const running = child;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.ref();
    running.kill('SIGKILL');
    await ended;
  };

  const port = await start(0);
  return {
    kind: options.kind,
    host: `127.0.0.1:${port}`,
    url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    storageDir,
    log: () => output,
    stop,
    async restart() {
      await stop();
      await start(port);
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** The port it says it listens on. It says so after binding, so that from then on no connection is refused. */
function boundPort(child: ChildProcess, said: () => string): Promise<number> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`was not up after ${deadlineMs} ms`)), deadlineMs);
    const settle = (result: () => void): void => {
      clearTimeout(late);
      child.stdout?.off('data', look);
      child.stderr?.off('data', look);
      result();
    };
    const look = (): void => {
      const port = /listening on 127\.0\.0\.1:(\d+)/.exec(said())?.[1];
      if (port !== undefined) settle(() => resolve(Number(port)));
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    child.once('error', (error) => settle(() => reject(new Error(`did not start (${error.message})`))));
    child.once('exit', (code) => settle(() => reject(new Error(`ended with ${code}`))));
  });
}

function configuration(options: RegistryOptions, folder: string, storageDir: string, port: number): object {
  const { auth = 'none', tls } = options;
  return {
    version: '0.1',
    // 'info' is what announces the port; the access log would say everything twice.
    log: { level: 'info', accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: storageDir },
      delete: { enabled: options.delete ?? true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: {
      addr: `127.0.0.1:${port}`,
      // Fixed, so that the state of an upload survives a restart, as it does in a cluster.
      secret: 'boxcar-test',
      ...(tls && { tls: { key: tls.keyFile, certificate: tls.certFile } }),
    },
    ...(auth !== 'none' && { auth: authentication(auth, folder) }),
  };
}

function authentication(auth: Exclude<RegistryOptions['auth'], 'none' | undefined>, folder: string): object {
  if ('htpasswd' in auth) return { htpasswd: { realm: 'test', path: htpasswdFile(folder, auth.htpasswd) } };
  const { realm, service, issuer, certFile } = auth.token;
  return { token: { realm, service, issuer, rootcertbundle: certFile } };
}

/** REGISTRY_* would overrule the configuration; OTEL_* silences version 3's attempt to export traces. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(REGISTRY|OTEL)_/.test(name));
  return { ...Object.fromEntries(kept), OTEL_TRACES_EXPORTER: 'none' };
}

function missing(kind: RegistryKind): string {
  return `no ${kind} on this machine; to run it: ${installHints[kind]}`;
}

/** What is the same on every kind of registry is run on the newest alone, but for the long run. */
export const kindsInShort: readonly RegistryKind[] =
  process.env.BOXCAR_TEST_LONG === '1' ? registryKinds : ['distribution-3'];

/**
 * One suite for every kind of registry. A kind that is not installed is skipped, saying how to get it; with
 * BOXCAR_TEST_REGISTRIES=required (CI) it fails instead.
 */
export function describeEachRegistry(
  name: string,
  suite: (kind: RegistryKind) => void,
  kinds: readonly RegistryKind[] = registryKinds,
): void {
  for (const kind of kinds) {
    const title = `${name}: ${kind}`;
    if (registryProgram(kind) !== undefined) describe(title, () => suite(kind));
    else if (process.env.BOXCAR_TEST_REGISTRIES === 'required') {
      test(title, () => {
        throw new Error(missing(kind));
      });
    } else test(title, { skip: missing(kind) }, () => {});
  }
}
