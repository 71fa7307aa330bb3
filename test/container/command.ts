import { execFile } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

export const checkout = join(import.meta.dirname, '../..');
/** Kept between runs, so that only the first one downloads and assembles Debian. */
const cache = join(checkout, '.cache/container');

/** Runs a program to its end. @returns what it said on stdout. @throws with the end of what it said when it failed. */
export async function command(program: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  try {
    const options = { env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 };
    return (await execute(program, args, options)).stdout.trim();
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
    const said = `${stdout}${stderr}`.trim().split('\n').slice(-60).join('\n');
    throw new Error(`${[program, ...args].join(' ')} failed:\n${said || message}`);
  }
}

/**
 * buildah with a storage of its own, and a plain chroot instead of a container runtime: that works wherever there is
 * root, be it in a container or a small virtual machine.
 */
export async function buildah(...args: string[]): Promise<string> {
  storageDriver ??= findStorageDriver();
  const driver = await storageDriver;
  const storage = [
    `--storage-driver=${driver}`,
    `--root=${join(cache, driver)}`,
    `--runroot=${join(cache, 'run')}`,
  ];
  return command('buildah', [...storage, ...args], { BUILDAH_ISOLATION: 'chroot' });
}

let storageDriver: Promise<string> | undefined;

/** Overlays take a third of the time that copies do, but cannot be stacked on the overlay of a container. */
async function findStorageDriver(): Promise<string> {
  const probe = join(cache, 'probe');
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(probe, name), { recursive: true });
  const options = `lowerdir=${probe}/lower,upperdir=${probe}/upper,workdir=${probe}/work`;
  const mount = ['mount', '-t', 'overlay', '-o', options, 'probe', `${probe}/merged`];
  const refused = await command('unshare', ['--mount', ...mount]).catch(() => 'refused');
  rmSync(probe, { recursive: true, force: true });
  return refused ? 'vfs' : 'overlay';
}
