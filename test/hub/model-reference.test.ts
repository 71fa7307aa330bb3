import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BoxcarError } from '../../src/errors.ts';
import { isRevision, parseEndpoint, parseModelReference } from '../../src/hub/model-reference.ts';

const commit = 'a09a35458c702b33eeacc393d103063234e8bc28';
const page = 'https://huggingface.co';

describe('a model', () => {
  for (const [text, model, revision, endpoint] of [
    ['gpt2', 'gpt2'],
    ['acme/llm', 'acme/llm'],
    ['Acme-1/Llm_v2.5', 'Acme-1/Llm_v2.5'],
    ['acme/llm@main', 'acme/llm', 'main'],
    [`acme/llm@${commit}`, 'acme/llm', commit],
    ['acme/llm@refs/pr/7', 'acme/llm', 'refs/pr/7'],
    ['acme/llm@v1@2', 'acme/llm', 'v1@2'],
    ['hf://acme/llm', 'acme/llm'],
    ['hf://acme/llm@v1', 'acme/llm', 'v1'],
    [`${page}/acme/llm`, 'acme/llm', undefined, page],
    [`${page}/acme/llm/`, 'acme/llm', undefined, page],
    [`${page}/gpt2`, 'gpt2', undefined, page],
    [`${page}/acme/llm?library=transformers#x`, 'acme/llm', undefined, page],
    [`${page}/acme/llm/tree/main`, 'acme/llm', 'main', page],
    [`${page}/acme/llm/tree/${commit}/sub/folder`, 'acme/llm', commit, page],
    [`${page}/acme/llm/blob/main/config.json`, 'acme/llm', 'main', page],
    [`${page}/acme/llm/resolve/v1/model.bin`, 'acme/llm', 'v1', page],
    [`${page}/acme/llm/commit/${commit}`, 'acme/llm', commit, page],
    [`${page}/acme/llm/tree/refs/pr/7/sub`, 'acme/llm', 'refs/pr/7', page],
    [`${page}/acme/llm/tree/feature%2Fx`, 'acme/llm', 'feature/x', page],
    ['http://mirror:8080/acme/llm', 'acme/llm', undefined, 'http://mirror:8080'],
  ] as [string, string, string?, string?][]) {
    test(text, () => {
      const expected = { model, ...(revision ? { revision } : {}), ...(endpoint ? { endpoint } : {}) };
      assert.deepEqual(parseModelReference(text), expected);
    });
  }

  for (const text of [
    '',
    '/',
    'acme/',
    '/llm',
    'a/b/c',
    'acme/llm@',
    'acme/llm@a b',
    'acme/llm@../x',
    'acme/llm@x/',
    'acme/..',
    '../llm',
    '-a/b',
    '.a/b',
    'a b/c',
    'acme/llm?x',
    'hf://',
    'hf://datasets/acme/data',
    `${page}/`,
    `${page}/datasets/acme/data`,
    `${page}/spaces/acme/space`,
    'https://',
    'https://[bad/acme/llm',
    'ftp://huggingface.co/acme/llm',
    `${page}/acme/llm/tree/%zz`,
    `${page}/acme/llm/tree/a%00b`,
  ]) {
    test(`refused: ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseModelReference(text),
        (error: BoxcarError) =>
          error.code === 'usage' && /^not a model: /.test(error.message) && Boolean(error.hint),
      );
    });
  }
});

test('revisions that git could have', () => {
  for (const good of ['main', 'v1.0', 'feature/x', 'refs/pr/1', commit, 'a-b_c', 'é'])
    assert.ok(isRevision(good), good);
  for (const bad of [
    '',
    'a b',
    'a..b',
    '/a',
    'a/',
    'a~1',
    'a^',
    'a:b',
    'a?',
    'a*',
    'a[b',
    'a\\b',
    'a\0',
    'a\x7f',
  ]) {
    assert.ok(!isRevision(bad), JSON.stringify(bad));
  }
});

describe('the address of a hub', () => {
  for (const [text, endpoint] of [
    ['https://huggingface.co', 'https://huggingface.co'],
    ['https://huggingface.co/', 'https://huggingface.co'],
    ['http://127.0.0.1:8080//', 'http://127.0.0.1:8080'],
    ['https://mirror.example/hf/', 'https://mirror.example/hf'],
    ['HTTPS://Mirror.Example', 'https://mirror.example'],
  ] as const) {
    test(text, () => assert.equal(parseEndpoint(text), endpoint));
  }

  for (const text of [
    '',
    'huggingface.co',
    'ftp://h',
    'https://user:secret@h/',
    'https://:secret@h/',
    'https://h/?x=secret',
    'https://h/#secret',
    'https://',
  ]) {
    test(`refused: ${text}`, () => {
      assert.throws(
        () => parseEndpoint(text),
        (error: BoxcarError) => error.code === 'usage' && !error.message.includes('user:secret'),
      );
    });
  }
});
