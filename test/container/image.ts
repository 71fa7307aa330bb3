import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atExit } from '../support/exit.ts';
import { tempDir } from '../support/temp-dir.ts';
import { buildah, checkout, command } from './command.ts';

const name = 'localhost/boxcar-test';

/** The part of an image's configuration that a container runtime acts on (OCI image-spec, config.md). */
interface ImageConfig {
  User: string;
  Env: string[];
  Entrypoint: string[];
  Cmd: string[];
  Volumes: Record<string, object>;
  Labels: Record<string, string>;
}

export interface ContainerOptions {
  /** Default: the image's. */
  user?: string;
  /** Instead of the image's entry point. */
  entrypoint?: string[];
  /** A folder that is mounted on /state. */
  state: string;
  env?: Record<string, string>;
}

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Container {
  stderr(): string;
  running(): boolean;
  /** Sends a signal to the program, which is process 1 of its container. */
  kill(signal: NodeJS.Signals): void;
  finished: Promise<Finished>;
}

/** Builds the Dockerfile with this machine's npm settings as secrets. */
export async function buildImage(): Promise<void> {
  const npmrc = join(tempDir(), 'npmrc');
  writeFileSync(npmrc, await npmSettings(), { mode: 0o600 });
  const ca = await authorities();
  const secrets = [`id=npmrc,src=${npmrc}`, ...(ca ? [`id=ca,src=${ca}`] : [])];
  const options = ['--pull=never', '--tag', name, ...secrets.flatMap((secret) => ['--secret', secret])];
  await buildah('build', ...options, checkout);
}

/** What the registry and its credentials are, wherever that is written. */
async function npmSettings(): Promise<string> {
  const files = await Promise.all(['globalconfig', 'userconfig'].map((key) => npmConfig(key)));
  const texts = files.map((file) => (file && existsSync(file) ? readFileSync(file, 'utf8') : ''));
  const registry = await npmConfig('registry');
  return [...texts, registry ? `registry=${registry}` : ''].join('\n');
}

async function authorities(): Promise<string | undefined> {
  const { NODE_EXTRA_CA_CERTS, SSL_CERT_FILE } = process.env;
  const system = '/etc/ssl/certs/ca-certificates.crt';
  const files = [await npmConfig('cafile'), NODE_EXTRA_CA_CERTS, SSL_CERT_FILE, system];
  return files.find((file) => file && existsSync(file));
}

async function npmConfig(key: string): Promise<string | undefined> {
  const value = await command('npm', ['config', 'get', key]);
  return value === '' || value === 'null' || value === 'undefined' ? undefined : value;
}

/**
 * The image's root file system, mounted read-only, and its configuration, acted on as `docker run --read-only
 * --network=host` would, but with no more than unshare and chroot: a container runtime wants rights (cgroups, limits)
 * that a test machine need not give.
 */
export class Image {
  readonly config: ImageConfig;
  /** Where the root file system is on this machine. */
  readonly root: string;
  readonly #container: string;

  private constructor(config: ImageConfig, root: string, container: string) {
    this.config = config;
    this.root = root;
    this.#container = container;
  }

  static async open(): Promise<Image> {
    const { OCIv1 } = JSON.parse(await buildah('inspect', '--type', 'image', name));
    const container = await buildah('from', '--pull=never', name);
    return new Image(OCIv1.config, await buildah('mount', container), container);
  }

  async close(): Promise<void> {
    await buildah('rm', this.#container);
    await buildah('rmi', name);
  }

  run(args: string[], options: ContainerOptions): Promise<Finished> {
    return this.start(args, options).finished;
  }

  start(given: string[], container: ContainerOptions): Container {
    const { user = this.config.User, entrypoint = this.config.Entrypoint, state, env = {} } = container;
    const program = [...entrypoint, ...(given.length > 0 ? given : this.config.Cmd)];
    const variables = [...this.config.Env, ...Object.entries(env).map(([key, value]) => `${key}=${value}`)];
    const inside = ['/usr/bin/env', '-i', ...variables, ...program];
    const args = [...isolation, 'sh', '-ec', enter, 'sh', this.root, state, user, ...inside];
    return watch(spawn('unshare', args, { timeout: 120_000, killSignal: 'SIGKILL' }));
  }
}

/** The program becomes process 1, as in a container: signals it does not handle are lost on it. */
const isolation = ['--mount', '--pid', '--fork', '--kill-child'];

/** Arguments: root file system, folder of the state, `uid:gid`, then the program. Its mounts end with it. */
const enter = `
  root=$1 state=$2 user=$3
  shift 3
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount --bind /dev "$root/dev"
  mount --bind "$state" "$root/state"
  mount -o remount,bind,ro "$root"
  exec chroot --userspec="$user" --groups="\${user#*:}" "$root" "$@"
`;

function watch(child: ChildProcess): Container {
  const callOff = atExit(() => child.kill('SIGKILL'));
  child.stdin?.end();
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (chunk: string) => {
      said[stream] += chunk;
    });
  }
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      callOff();
      resolve({ code, ...said });
    });
  });
  return {
    stderr: () => said.stderr,
    running: () => child.exitCode === null && child.signalCode === null,
    kill(signal) {
      const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
      process.kill(Number.parseInt(children, 10), signal);
    },
    finished,
  };
}
