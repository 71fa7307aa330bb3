import { BoxcarError } from '../errors.ts';
import type { ModelFile } from '../hub/model-file.ts';

export const weightFormats = ['safetensors', 'pytorch', 'gguf', 'onnx'] as const;
export type WeightFormat = (typeof weightFormats)[number];

/** Formats that can be left out but not asked for alone. */
type AnyFormat = WeightFormat | 'tensorflow' | 'flax' | 'other';

const patterns: [AnyFormat, RegExp][] = [
  ['safetensors', /\.safetensors(\.index\.json)?$/i],
  ['gguf', /\.gguf(\.part\d+of\d+)?$/i],
  ['onnx', /\.onnx(_data.*|\.data)?$/i],
  ['tensorflow', /(^|\/)tf_model.*|\.h5$|\.tflite$|(^|\/)saved_model\.pb$/i],
  ['flax', /\.msgpack(\.index\.json)?$/i],
  ['other', /(^|\/)(openvino|coreml|metal)\/|(^|\/)openvino_|\.ot$|\.mlmodel$|\.mlpackage\//i],
  ['pytorch', /\.(bin|pt|pth|ckpt)(\.index\.json)?$/i],
];

/** Directories and names under which repositories keep the same weights a second time, in their makers' own layout. */
const secondCopy = /^(original|metal)\/|(^|\/)consolidated[^/]*$/i;

/**
 * Keeps one of several weight formats, and of that the main copy. Files that are no weights stay.
 * @throws BoxcarError `usage` when the model has no such weights.
 */
export function keepWeights(files: ModelFile[], choice: WeightFormat): ModelFile[] {
  const chosen = files.filter(({ path }) => weightFormat(path) === choice);
  if (chosen.length === 0) {
    const has = [
      ...new Set(files.map(({ path }) => weightFormat(path)).filter((format) => format !== undefined)),
    ];
    throw new BoxcarError(`the model has no ${choice} weights`, {
      code: 'usage',
      side: 'local',
      hint:
        has.length > 0
          ? `it has: ${has.join(', ')}`
          : 'none of its files looks like weights: leave --weights out',
    });
  }
  const main = chosen.filter(({ path }) => !secondCopy.test(path));
  const kept = new Set(main.length > 0 ? main : chosen);
  return files.filter((file) => kept.has(file) || weightFormat(file.path) === undefined);
}

/** Bytes that nobody would change a command for. */
const worthTelling = 10e6;

/** For each format that is there: how many bytes keeping it alone would save. */
export function possibleSavings(files: ModelFile[]): { format: WeightFormat; bytes: number }[] {
  const all = total(files);
  return weightFormats
    .filter((format) => files.some(({ path }) => weightFormat(path) === format))
    .map((format) => ({ format, bytes: all - total(keepWeights(files, format)) }))
    .filter(({ bytes }) => bytes >= worthTelling);
}

/** `--weights safetensors would leave out 28.4 GB of other weights` */
export function savingNotice({ format, bytes }: { format: WeightFormat; bytes: number }): string {
  const amount = bytes < 999.5e6 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
  return `--weights ${format} would leave out ${amount} of other weights`;
}

function weightFormat(path: string): AnyFormat | undefined {
  return patterns.find(([, pattern]) => pattern.test(path))?.[0];
}

function total(files: ModelFile[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}
