import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { BoxcarError } from '../../src/errors.ts';
import { selectFiles, splitPatterns } from '../../src/formats/selection.ts';
import { file, paths } from './snapshots.ts';

const all = [
  '.gitattributes',
  'README.md',
  'config.json',
  'model-00001-of-00002.safetensors',
  'model.safetensors.index.json',
  'onnx/config.json',
  'onnx/fp16/model.onnx',
  'original/.gitattributes',
  'tokenizer/vocab.json',
].map((path) => file(path));

function selected(include: string[], exclude: string[] = []): string[] {
  return paths(selectFiles(all, { include, exclude }));
}

describe('patterns', () => {
  test('none: everything but .gitattributes', () => {
    assert.deepEqual(selected([]), paths(all).slice(1));
  });

  test('* crosses /', () => {
    assert.deepEqual(selected(['*.json']), [
      'config.json',
      'model.safetensors.index.json',
      'onnx/config.json',
      'tokenizer/vocab.json',
    ]);
    assert.deepEqual(selected(['on*x']), ['onnx/fp16/model.onnx']);
  });

  test('a pattern is of the whole path', () => {
    assert.deepEqual(selected(['config.json']), ['config.json']);
    assert.deepEqual(selected(['*/config.json']), ['onnx/config.json']);
  });

  test('a bare suffix', () => {
    assert.deepEqual(selected(['.json']), selected(['*.json']));
    assert.deepEqual(selected(['.index.json']), ['model.safetensors.index.json']);
  });

  test('a trailing / is everything below', () => {
    assert.deepEqual(selected(['onnx/']), ['onnx/config.json', 'onnx/fp16/model.onnx']);
    assert.deepEqual(selected(['onnx/fp16/']), ['onnx/fp16/model.onnx']);
    assert.deepEqual(selected([], ['onnx/', 'original/', 'tokenizer/']), paths(all).slice(1, 5));
  });

  test('braces, classes and ?', () => {
    assert.deepEqual(selected(['{README,config}.{md,json}']), ['README.md', 'config.json']);
    assert.deepEqual(selected(['model-0000[0-4]-*']), ['model-00001-of-00002.safetensors']);
    assert.deepEqual(selected(['con?ig.json']), ['config.json']);
  });

  test('what is excluded was included first', () => {
    assert.deepEqual(selected(['.json'], ['onnx/', '*.index.json']), ['config.json', 'tokenizer/vocab.json']);
  });

  test('files in hidden directories, and hidden files, are files', () => {
    const hidden = [file('.cache/x.json'), file('a/.b')];
    assert.equal(selectFiles(hidden, { include: ['*'], exclude: [] }).length, 2);
  });

  test('stars are those of Python’s fnmatch', () => {
    const segment = fc.string({
      unit: fc.constantFrom('a', 'b', '.b', '-', '_'),
      minLength: 1,
      maxLength: 4,
    });
    const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    const piece = fc.constantFrom('a', 'b', '.b', '/', '-', '_', '*');
    const pattern = fc
      .string({ unit: piece, minLength: 1, maxLength: 6 })
      .filter((text) => !/\*\*|^\.|\/$|\/\/|^\//.test(text));
    fc.assert(
      fc.property(path, pattern, (name, glob) => {
        const regexp = glob.replaceAll('.', '\\.').replaceAll('*', '.*');
        const expected = new RegExp(`^${regexp}$`).test(name);
        // A second file, always there, so that something is left.
        const got = selectFiles([file(name), file('kept')], { include: [glob, 'kept'], exclude: [] });
        assert.equal(got.length === 2, expected);
      }),
      { numRuns: 3000, seed: 5 },
    );
  });
});

describe('.gitattributes', () => {
  test('is out although a star fits it', () => {
    assert.ok(!selected(['*']).includes('.gitattributes'));
    assert.ok(!selected(['.*', 'README.md']).includes('.gitattributes'));
  });

  test('is in when named', () => {
    assert.deepEqual(selected(['.gitattributes', 'README.md']), ['.gitattributes', 'README.md']);
  });

  test('is out when named and excluded', () => {
    assert.deepEqual(selected(['.gitattributes', 'README.md'], ['.gitattributes']), ['README.md']);
  });
});

describe('nothing left', () => {
  const isUsage = (message: RegExp, hint: RegExp) => (error: BoxcarError) =>
    error.code === 'usage' && message.test(error.message) && hint.test(error.hint ?? '');

  test('after the filters', () => {
    assert.throws(() => selected(['*.bin']), isUsage(/filters leave none/, /of 9 files, 0 are included/));
    assert.throws(
      () => selected(['.md'], ['*']),
      isUsage(/filters leave none/, /of 9 files, 1 are included/),
    );
    const only = { include: ['.gitattributes'], exclude: ['.gitattributes'] };
    assert.throws(() => selectFiles(all, only), isUsage(/filters leave none/, /1 are included/));
  });

  test('of nothing', () => {
    const nothing = { include: [], exclude: [] };
    assert.throws(() => selectFiles([], nothing), isUsage(/has no files/, /right revision/));
    assert.throws(() => selectFiles([file('.gitattributes')], nothing), isUsage(/leave none/, /./));
  });
});

test('patterns in one text are split at commas, but not in braces', () => {
  assert.deepEqual(splitPatterns('*.json, .md ,,onnx/'), ['*.json', '.md', 'onnx/']);
  assert.deepEqual(splitPatterns('a{b,c}d,{e,f},g'), ['a{b,c}d', '{e,f}', 'g']);
  assert.deepEqual(splitPatterns(' , '), []);
});
