/**
 * `npm run demo`: the main job on a small model that ships with it. A stand-in for the hub serves the model on loopback,
 * `boxcar push` streams it into an OCI image layout directory, twice.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { startHub } from '../test/support/hub.ts';
import { tinyModel } from '../test/support/models.ts';

const checkout = join(import.meta.dirname, '..');
const directory = mkdtempSync(join(tmpdir(), 'boxcar-demo-'));
const image = join(directory, 'image');
const model = tinyModel('acme/tiny');
const hub = await startHub({ models: [model] });

try {
  say('A stand-in for the hub serves the model acme/tiny. First push:');
  await boxcar('push', model.name, `oci:${image}`, '--also-tag', 'latest');
  say('What is there now: an OCI image layout, one uncompressed tar layer a file.');
  for (const file of files(image))
    console.log(`  ${statSync(file).size.toString().padStart(9)}  ${relative(image, file)}`);
  say('Its manifest:');
  console.log(JSON.stringify(manifest(), undefined, 2));
  say('The same push again finds the image complete and moves nothing:');
  await boxcar('push', model.name, `oci:${image}`, '--also-tag', 'latest');
  say('With a real model and a real registry:');
  console.log('  npm run -s boxcar -- push Qwen/Qwen2.5-0.5B-Instruct registry.example.com/models/qwen');
  console.log(
    '  (log in to the registry with docker, podman or skopeo first; for a private model set HF_TOKEN)',
  );
} finally {
  await hub.close();
  rmSync(directory, { recursive: true, force: true });
}

async function boxcar(...args: string[]): Promise<void> {
  const command = ['src/cli/main.ts', ...args];
  console.log(`$ boxcar ${args.join(' ')}`);
  const env = { ...process.env, HF_ENDPOINT: hub.url, XDG_STATE_HOME: directory };
  const child = spawn(process.execPath, command, { cwd: checkout, stdio: 'inherit', env });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`boxcar ended with ${code}`);
}

function manifest(): unknown {
  const index = JSON.parse(readFileSync(join(image, 'index.json'), 'utf8'));
  const digest: string = index.manifests[0].digest;
  return JSON.parse(readFileSync(join(image, 'blobs', digest.replace(':', '/')), 'utf8'));
}

function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function say(text: string): void {
  console.log(`\n== ${text}\n`);
}
