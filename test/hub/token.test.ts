import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { findHubToken } from '../../src/hub/token.ts';
import { tempDir } from '../support/temp-dir.ts';

/** Every place that there is, the first before the others; each is taken away once it was seen. */
test('places, in their order', async (t) => {
  const home = tempDir(t);
  const write = (path: string, token: string): string => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, token);
    return path;
  };
  const env: NodeJS.ProcessEnv = {
    HF_TOKEN: 'one',
    HUGGING_FACE_HUB_TOKEN: 'two',
    HF_TOKEN_PATH: write(join(home, 'some', 'file'), 'three'),
    HF_HOME: dirname(write(join(home, 'hf', 'token'), 'four')),
    XDG_CACHE_HOME: join(home, 'xdg'),
    HOME: home,
  };
  const inXdg = write(join(home, 'xdg', 'huggingface', 'token'), 'five');
  const inHome = write(join(home, '.cache', 'huggingface', 'token'), 'six');
  const found: unknown[] = [];
  for (const taken of [
    'HF_TOKEN',
    'HUGGING_FACE_HUB_TOKEN',
    'HF_TOKEN_PATH',
    'HF_HOME',
    'XDG_CACHE_HOME',
    'HOME',
  ]) {
    found.push(await findHubToken(env));
    delete env[taken];
  }
  assert.deepEqual(found, [
    { token: 'one', source: 'HF_TOKEN' },
    { token: 'two', source: 'HUGGING_FACE_HUB_TOKEN' },
    { token: 'three', source: join(home, 'some', 'file') },
    { token: 'four', source: join(home, 'hf', 'token') },
    { token: 'five', source: inXdg },
    { token: 'six', source: inHome },
  ]);
  assert.equal(await findHubToken({}, join(home, 'nowhere')), undefined);
});

test('files can be forbidden, variables not', async (t) => {
  const home = tempDir(t);
  mkdirSync(join(home, '.cache', 'huggingface'), { recursive: true });
  writeFileSync(join(home, '.cache', 'huggingface', 'token'), 'hf_file');
  for (const value of ['1', 'true', 'TRUE', 'yes', 'on']) {
    const env = { HOME: home, HF_HUB_DISABLE_IMPLICIT_TOKEN: value };
    assert.equal(await findHubToken(env), undefined);
    assert.equal((await findHubToken({ ...env, HF_TOKEN: 'hf_env' }))?.token, 'hf_env');
  }
  for (const value of ['0', 'false', '']) {
    const env = { HOME: home, HF_HUB_DISABLE_IMPLICIT_TOKEN: value };
    assert.equal((await findHubToken(env))?.token, 'hf_file');
  }
});

test('white space around a token is not of it; what cannot be one is none', async (t) => {
  const home = tempDir(t);
  const token = async (value: string) => (await findHubToken({ HF_TOKEN: value, HOME: home }))?.token;
  assert.equal(await token(' hf_x\n'), 'hf_x');
  for (const value of ['', '  ', '\n', 'two words', 'hf_\r\nx: y', 'hf_é'])
    assert.equal(await token(value), undefined);
});

test('an empty variable is not there', async (t) => {
  const home = tempDir(t);
  const file = join(home, 'token');
  writeFileSync(file, 'hf_file\n');
  const env = { HF_TOKEN: '', HUGGING_FACE_HUB_TOKEN: '', HF_TOKEN_PATH: '', HF_HOME: home, HOME: home };
  assert.deepEqual(await findHubToken(env), { token: 'hf_file', source: file });
});
