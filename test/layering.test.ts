import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../src', import.meta.url));

/**
 * Who may import whom, the bottom first. A folder may import what it lists and itself, nothing else of ours; a single
 * file may be listed where only that much of a folder is meant. What follows from it:
 *
 * - `errors`, `disk`, `digest` and `oci` stand at the bottom; all four can be read without the rest.
 * - `layer` and `formats` do no I/O: of the hub they know what a snapshot looks like, not how it is had.
 * - hub, registry, layout and state never meet but in publish, which sees them all.
 * - only the command and the public API stand on publish; nothing stands on them.
 */
const mayImport: Record<string, string[]> = {
  secrets: [],
  errors: ['secrets'],
  disk: [],
  digest: [],
  oci: ['errors'],
  http: ['errors', 'secrets'],
  layer: ['errors', 'digest', 'oci'],
  hub: ['errors', 'digest', 'http'],
  registry: ['errors', 'secrets', 'oci', 'http'],
  layout: ['errors', 'oci', 'disk'],
  state: ['digest', 'oci', 'disk'],
  formats: ['errors', 'digest', 'oci', 'layer', 'hub/model-file.ts', 'hub/model-reference.ts'],
  publish: [
    'errors',
    'disk',
    'digest',
    'oci',
    'http',
    'layer',
    'hub',
    'registry',
    'layout',
    'state',
    'formats',
  ],
  index: ['errors', 'digest', 'oci', 'http/failure-reason.ts', 'formats', 'registry', 'publish'],
  cli: ['errors', 'secrets', 'disk', 'formats', 'publish', 'registry/dialects.ts'],
};

/** Node's modules that reach out of the process; those who compute have no use for them. */
const io = /^node:(fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads|cluster)\b/;
const pure = ['errors', 'digest', 'oci', 'layer', 'formats'];

interface Import {
  file: string;
  /** What stands between the quotes. */
  specifier: string;
  typeOnly: boolean;
}

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  .map((file) => file.split(sep).join('/'));

const imports: Import[] = files.flatMap((file) => {
  const text = readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const statics = text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]/gm);
  const dynamics = text.matchAll(/\bimport\(\s*()['"]([^'"]+)['"]/g);
  return [...statics, ...dynamics].map(([, type, specifier = '']) => ({
    file,
    specifier,
    typeOnly: Boolean(type),
  }));
});

/** `hub/token.ts` -> `hub`, `errors.ts` -> `errors`. */
function folderOf(file: string): string {
  return file.includes('/') ? (file.split('/')[0] as string) : file.replace(/\.ts$/, '');
}

/** The file of ours that an import names. */
function target({ file, specifier }: Import): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return relative(root, join(root, dirname(file), specifier))
    .split(sep)
    .join('/');
}

test('imports are found at all', () => {
  const found = (file: string, specifier: string) =>
    assert.ok(
      imports.some((each) => each.file === file && each.specifier === specifier),
      `${file} imports ${specifier}`,
    );
  found('hub/hub.ts', '../http/client.ts');
  found('digest/sha256-openssl.ts', 'koffi');
  found('disk/lock.ts', 'fs-native-extensions');
  found('index.ts', './publish/push.ts');
  assert.ok(imports.length > 150);
});

test('every folder has its rules', () => {
  const folders = [...new Set(files.map(folderOf))].sort();
  assert.deepEqual(folders, Object.keys(mayImport).sort());
});

describe('a folder imports only what it may', () => {
  for (const [folder, allowed] of Object.entries(mayImport)) {
    test(folder, () => {
      const wrong = imports
        .filter(({ file }) => folderOf(file) === folder)
        .map((each) => ({ file: each.file, imported: target(each) }))
        .filter(({ imported }) => imported !== undefined && folderOf(imported) !== folder)
        .filter(({ imported = '' }) => !allowed.includes(folderOf(imported)) && !allowed.includes(imported));
      assert.deepEqual(wrong, []);
    });
  }
});

test('the rules have no circle', () => {
  const names = Object.keys(mayImport);
  for (const [folder, allowed] of Object.entries(mayImport)) {
    for (const each of allowed.map((name) => name.split('/')[0] as string)) {
      const inOrder = names.indexOf(each) < names.indexOf(folder);
      assert.ok(inOrder, `${folder} may import ${each}, which stands above it`);
    }
  }
});

test('what computes reaches out for nothing', () => {
  const wrong = imports.filter(({ file, specifier }) => pure.includes(folderOf(file)) && io.test(specifier));
  assert.deepEqual(wrong, []);
});

test('there is one way out to the network', () => {
  const network = /^(undici|node:(net|http|https|http2|tls|dns))\b/;
  const wrong = imports
    .filter(({ specifier, typeOnly }) => network.test(specifier) && !typeOnly)
    .filter(({ file }) => folderOf(file) !== 'http');
  assert.deepEqual(wrong, []);
});

test('what is imported is there, by its file name', () => {
  const missing = imports.filter((each) => {
    const imported = target(each);
    return imported !== undefined && !files.includes(imported) && !/^\.\.\/.*\.json$/.test(imported);
  });
  assert.deepEqual(missing, []);
});

test('no names that say nothing', () => {
  // (Docker's own word for a credential helper is not ours to change.)
  const names =
    /(^|\/)(utils?|common|helpers?|types|misc|shared)(\/|\.ts$)|-(manager|handler|service|util)s?\.ts$/;
  assert.deepEqual(
    files.filter((file) => names.test(file)),
    [],
  );
});
