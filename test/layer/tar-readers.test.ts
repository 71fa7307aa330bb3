import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLayer } from '../../src/layer/layer.ts';
import { tarHeader } from '../../src/layer/tar.ts';
import { tempDir } from '../support/temp-dir.ts';
import { collect, fakeBytes, layerOf, source } from './plans.ts';

// One layer for each kind of name; what GNU tar and Python make of them must be what was meant.

const noTar = spawnSync('tar', ['--version']).error ? 'no tar here: apt-get install tar' : false;
const noPython = spawnSync('python3', ['-c', 'import tarfile']).status === 0 ? false : 'no python3 here';

const files: [path: string, size: number][] = [
  ['config.json', 13],
  ['empty', 0],
  ['one', 1],
  ['a/b/c/d.bin', 70_000],
  ['Größe/模型 №1.txt', 12],
  ['new\nline', 3],
  ["it's $HOME", 3],
  ['x'.repeat(93), 512],
  ['x'.repeat(94), 513],
  // A directory that fills the prefix field and leaves its own name empty.
  [`${'p'.repeat(120)}/f`, 4],
  [`${'q'.repeat(200)}/${'r'.repeat(250)}`, 5],
  [`${'deep/'.repeat(60)}f`, 6],
];

interface Read {
  name: string;
  type: string;
  mode: number;
  owner: string;
  mtime: number;
  size: number;
}

function expected(path: string, size: number): Read[] {
  const segments = `models/${path}`.split('/');
  const common = { owner: '0:0', mtime: 0 };
  const directories = segments.slice(1).map((_, depth) => ({
    ...common,
    name: segments.slice(0, depth + 1).join('/'),
    type: 'directory',
    mode: 0o755,
    size: 0,
  }));
  return [...directories, { ...common, name: segments.join('/'), type: 'file', mode: 0o644, size }];
}

async function writeLayer(folder: string, path: string, bytes: Buffer): Promise<string> {
  const layer = join(folder, 'layer.tar');
  writeFileSync(layer, await collect(openLayer(await layerOf(bytes, path), 0, source(bytes))));
  return layer;
}

const python = `
import json, sys, tarfile
for layer in sys.argv[1:]:
    with tarfile.open(layer) as tar:
        kind = lambda m: 'directory' if m.isdir() else 'file' if m.isfile() else 'other'
        print(json.dumps([dict(name=m.name, type=kind(m), mode=m.mode, owner=f'{m.uid}:{m.gid}', mtime=m.mtime, size=m.size) for m in tar]))
`;

/** Every entry of each layer as Python's tarfile reads it. */
function readByPython(layers: string[]): Read[][] {
  const env = { ...process.env, PYTHONIOENCODING: 'utf-8' };
  const output = execFileSync('python3', ['-c', python, ...layers], { encoding: 'utf8', env });
  return output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Read[]);
}

/** Every entry as GNU tar reads it. */
function readByTar(layer: string): Read[] {
  const options = ['--numeric-owner', '--full-time', '--utc', '--quoting-style=literal', '-tvf', layer];
  const output = execFileSync('tar', options, { encoding: 'utf8' });
  const line =
    /^([-d])([rwx-]{9}) (\d+\/\d+) +(\d+) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) ([\s\S]*?)$(?=\n[-d][rwx-]{9} |\n*$(?![\s\S]))/gm;
  return [...output.matchAll(line)].map(([, type, mode = '', owner = '', size, time, name = '']) => ({
    name: name.replace(/\/?\n*$/, ''),
    type: type === 'd' ? 'directory' : 'file',
    mode: Number.parseInt(mode.replace(/[rwx]/g, '1').replaceAll('-', '0'), 2),
    owner: owner.replace('/', ':'),
    mtime: Date.parse(`${time}Z`) / 1000,
    size: Number(size),
  }));
}

test('GNU tar lists them', { skip: noTar }, async (t) => {
  const folder = tempDir(t);
  for (const [path, size] of files) {
    const layer = await writeLayer(folder, path, fakeBytes(size));
    assert.deepEqual(readByTar(layer), expected(path, size));
  }
});

test('GNU tar unpacks them into one tree', { skip: noTar }, async (t) => {
  const folder = tempDir(t);
  for (const [path, size] of files) {
    const layer = await writeLayer(folder, path, fakeBytes(size));
    const { status, stderr } = spawnSync('tar', ['-xf', layer, '-C', folder], { encoding: 'utf8' });
    assert.deepEqual([status, stderr], [0, '']);
  }
  for (const [path, size] of files) {
    assert.ok(readFileSync(join(folder, 'models', path)).equals(fakeBytes(size)), path);
  }
});

test("Python's tarfile lists them", { skip: noPython }, async (t) => {
  const layers: string[] = [];
  for (const [path, size] of files) layers.push(await writeLayer(tempDir(t), path, fakeBytes(size)));
  assert.deepEqual(
    readByPython(layers),
    files.map(([path, size]) => expected(path, size)),
  );
});

test('both read a size over 8 GiB from the header alone', { skip: noTar || noPython }, async (t) => {
  const layer = join(tempDir(t), 'header.tar');
  const size = 9 * 2 ** 30 + 5;
  writeFileSync(layer, await tarHeader('models/big', size));
  const { stdout } = spawnSync('tar', ['--numeric-owner', '-tvf', layer], { encoding: 'utf8' });
  assert.match(stdout, new RegExp(` ${size} .*models/big$`, 'm'));
  const script =
    'import sys, tarfile; print([m.size for m in (lambda t: [t.next(), t.next()])(tarfile.open(sys.argv[1]))])';
  const sizes = spawnSync('python3', ['-c', script, layer], { encoding: 'utf8' });
  assert.equal(sizes.stdout.trim(), `[0, ${size}]`, sizes.stderr);
});
