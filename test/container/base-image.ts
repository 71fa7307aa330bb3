import { createHash } from 'node:crypto';
import { appendFile, chmod, cp, mkdir, readFile, realpath, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buildah, command } from './command.ts';

/** The Dockerfile's default, as a registry's client would have stored it. */
const name = 'docker.io/library/node:24-bookworm-slim';
const label = 'boxcar.test.made-of';

/** Why this machine cannot make a base image and run what is built on it, or undefined. */
export async function whatIsMissing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'it takes root';
  for (const program of ['buildah', 'debootstrap', 'unshare']) {
    const found = await command('which', [program]).catch(() => undefined);
    if (!found) return `no ${program}: apt-get install buildah debootstrap util-linux`;
  }
  if (await command('unshare', ['--mount', 'true']).catch(() => 'refused')) return 'mounts are not allowed';
  if (!(await debianMirror())) return 'apt has no source of Debian bookworm';
  return undefined;
}

/**
 * Something close to Docker's `node:24-bookworm-slim`, without a registry to pull it from: Debian from where this
 * machine's apt gets it, the Node that runs this test, and this machine's npm.
 * @returns what it was made of, and whether it had been made by an earlier run.
 */
export async function baseImage(): Promise<{ madeOf: string; cached: boolean }> {
  // What a run left that was killed.
  await buildah('rm', '--all');
  const npm = await npmFolder();
  const { version } = JSON.parse(await readFile(join(npm, 'package.json'), 'utf8'));
  const recipe = createHash('sha256')
    .update(await readFile(import.meta.filename))
    .digest('hex')
    .slice(0, 8);
  const madeOf = `Debian 12, Node ${process.version}, npm ${version}, recipe ${recipe}`;
  if ((await labels())[label] === madeOf) return { madeOf, cached: true };

  const container = await buildah('from', 'scratch');
  try {
    const root = await buildah('mount', container);
    await installDebian(root);
    await installNode(root, npm);
    // As the real one has them, to see that the Dockerfile replaces them.
    const start = ['--entrypoint', '["docker-entrypoint.sh"]', '--cmd', 'node'];
    const env = ['--env', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];
    await buildah('config', ...start, ...env, '--label', `${label}=${madeOf}`, container);
    await buildah('commit', '--quiet', container, name);
    // The one made before, which has lost its name.
    await buildah('rmi', '--prune');
  } finally {
    await buildah('rm', container);
  }
  return { madeOf, cached: false };
}

async function labels(): Promise<Record<string, string>> {
  const image = await buildah('inspect', '--type', 'image', name).catch(() => '{}');
  return JSON.parse(image).OCIv1?.config?.Labels ?? {};
}

async function installDebian(root: string): Promise<void> {
  const mirror = await debianMirror();
  if (!mirror) throw new Error('apt has no source of Debian bookworm');
  const proxy = await command('apt-config', ['shell', 'proxy', 'Acquire::http::Proxy']);
  const [, address] = /'(.+)'/.exec(proxy) ?? [];
  const env = address ? { http_proxy: address } : {};
  // libstdc++ is what Node needs besides the C library.
  await command('debootstrap', ['--variant=minbase', '--include=libstdc++6', 'bookworm', root, mirror], env);
  // As in the real one's `slim`; what is not there need not be copied either.
  const shared = ['doc', 'info', 'locale', 'man'].map((name) => join('usr/share', name));
  const leftOut = ['var/cache/apt', 'var/lib/apt/lists', ...shared];
  for (const folder of leftOut) await rm(join(root, folder), { recursive: true, force: true });
}

async function installNode(root: string, npm: string): Promise<void> {
  const local = join(root, 'usr/local');
  await cp(await realpath(process.execPath), join(local, 'bin/node'));
  await chmod(join(local, 'bin/node'), 0o755);
  await mkdir(join(local, 'lib/node_modules'), { recursive: true });
  await cp(npm, join(local, 'lib/node_modules/npm'), { recursive: true, verbatimSymlinks: true });
  // A distributor's settings for this machine; the image is to get all of its settings as build secrets.
  await rm(join(local, 'lib/node_modules/npm/npmrc'), { force: true });
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm'));
  await appendFile(join(root, 'etc/group'), 'node:x:1000:\n');
  await appendFile(join(root, 'etc/passwd'), 'node:x:1000:1000::/home/node:/bin/bash\n');
}

/** `npm root --global` would look beside the Node of node_modules, where there is no npm. */
async function npmFolder(): Promise<string> {
  const program = await realpath(await command('which', ['npm']));
  return dirname(dirname(program));
}

async function debianMirror(): Promise<string | undefined> {
  const format = ['--format', '$(REPO_URI) $(RELEASE) $(COMPONENT)', 'Created-By: Packages'];
  const sources = await command('apt-get', ['indextargets', ...format]).catch(() => '');
  const source = sources.split('\n').find((line) => line.endsWith(' bookworm main'));
  return source?.split(' ')[0];
}
