import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { noNative } from './engines.ts';

const module = new URL('../../src/digest/sha256.ts', import.meta.url).href;
const script = `
  const { sha256Engine } = await import(${JSON.stringify(module)});
  const engine = await sha256Engine();
  const hash = await engine.create();
  hash.update(Buffer.from('abc'));
  console.log(engine.name, hash.digest());
`;

function chosen(env: NodeJS.ProcessEnv): string[] {
  const options = { env: { PATH: process.env.PATH, ...env }, encoding: 'utf8' } as const;
  return execFileSync(process.execPath, ['--input-type=module', '--eval', script], options).trim().split(' ');
}

const digest = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

test('the native engine is chosen where it loads', { skip: noNative }, () => {
  assert.deepEqual(chosen({}), ['openssl', digest]);
});

test('BOXCAR_SHA256=wasm forbids it', () => {
  assert.deepEqual(chosen({ BOXCAR_SHA256: 'wasm' }), ['wasm', digest]);
});

test('another value forbids nothing', { skip: noNative }, () => {
  assert.deepEqual(chosen({ BOXCAR_SHA256: '' }), ['openssl', digest]);
});
