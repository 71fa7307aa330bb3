import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BoxcarError } from '../../src/errors.ts';
import { keepWeights, possibleSavings, savingNotice, type WeightFormat } from '../../src/formats/weights.ts';
import { file, paths } from './snapshots.ts';

const gb = 1e9;

/** A repository that has everything, as those of Meta and Mistral do. */
const everything = [
  file('README.md'),
  file('config.json'),
  file('consolidated.safetensors', 14 * gb),
  file('model-00001-of-00002.safetensors', 7 * gb),
  file('model-00002-of-00002.safetensors', 7 * gb),
  file('model.safetensors.index.json'),
  file('pytorch_model-00001-of-00001.bin', 14 * gb),
  file('pytorch_model.bin.index.json'),
  file('original/consolidated.00.pth', 14 * gb),
  file('original/params.json'),
  file('onnx/model.onnx', 1),
  file('onnx/model.onnx_data', 14 * gb),
  file('model-q4.gguf', 4 * gb),
  file('tf_model.h5', 14 * gb),
  file('flax_model.msgpack', 14 * gb),
  file('metal/model.bin', 14 * gb),
  file('openvino/openvino_model.bin', 14 * gb),
  file('rust_model.ot', 14 * gb),
  file('tokenizer.json'),
];
const noWeights = ['README.md', 'config.json', 'original/params.json', 'tokenizer.json'];

describe('one format is kept, once', () => {
  for (const [format, kept] of [
    [
      'safetensors',
      [
        'model-00001-of-00002.safetensors',
        'model-00002-of-00002.safetensors',
        'model.safetensors.index.json',
      ],
    ],
    ['pytorch', ['pytorch_model-00001-of-00001.bin', 'pytorch_model.bin.index.json']],
    ['gguf', ['model-q4.gguf']],
    ['onnx', ['onnx/model.onnx', 'onnx/model.onnx_data']],
  ] as [WeightFormat, string[]][]) {
    test(format, () => {
      assert.deepEqual(paths(keepWeights(everything, format)).sort(), [...kept, ...noWeights].sort());
    });
  }

  test('the order stays', () => {
    const kept = keepWeights(everything, 'onnx');
    assert.deepEqual(
      kept,
      everything.filter((each) => kept.includes(each)),
    );
  });
});

test('a second copy is kept where it is the only one', () => {
  const only = [file('consolidated.safetensors'), file('params.json')];
  assert.deepEqual(keepWeights(only, 'safetensors'), only);
  const original = [file('original/consolidated.00.pth'), file('config.json')];
  assert.deepEqual(keepWeights(original, 'pytorch'), original);
});

test('a format that is not there names those that are', () => {
  const isUsage = (hint: RegExp) => (error: BoxcarError) =>
    error.code === 'usage' && hint.test(error.hint ?? '');
  const bin = [file('pytorch_model.bin'), file('tf_model.h5'), file('config.json')];
  assert.throws(() => keepWeights(bin, 'safetensors'), isUsage(/^it has: pytorch, tensorflow$/));
  assert.throws(() => keepWeights([file('config.json')], 'gguf'), isUsage(/leave --weights out/));
});

test('possible savings: for each format that is there, what would not be moved', () => {
  const all = everything.reduce((sum, { size }) => sum + size, 0);
  const small = 10 * noWeights.length;
  assert.deepEqual(possibleSavings(everything), [
    { format: 'safetensors', bytes: all - 14 * gb - 10 - small },
    { format: 'pytorch', bytes: all - 14 * gb - 10 - small },
    { format: 'gguf', bytes: all - 4 * gb - small },
    { format: 'onnx', bytes: all - 14 * gb - 1 - small },
  ]);
});

test('what saves nothing worth telling is not told', () => {
  assert.deepEqual(possibleSavings([file('model.safetensors', 14 * gb), file('config.json')]), []);
  assert.deepEqual(possibleSavings([file('a.safetensors', gb), file('a.bin', 9e6)]), [
    { format: 'pytorch', bytes: gb },
  ]);
  assert.deepEqual(possibleSavings([]), []);
});

test('a saving is told in the unit that has digits to show', () => {
  const amounts = [10e6, 49e6, 999.6e6, 28.44e9].map((bytes) => savingNotice({ format: 'gguf', bytes }));
  assert.deepEqual(
    amounts.map((text) => /out (.*) of/.exec(text)?.[1]),
    ['10 MB', '49 MB', '1.0 GB', '28.4 GB'],
  );
});
