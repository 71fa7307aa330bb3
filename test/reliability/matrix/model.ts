import { oneCommit, safetensors } from '../../support/models.ts';

export const mib = 1024 * 1024;
/** The reader's windows of a file of this size (src/hub/prefetch.ts). */
export const windowSize = mib;
/** Three windows, the last one short; three chunks of 1 MiB. */
export const weightsSize = 2 * mib + 300_077;

const config = JSON.stringify({
  architectures: ['TinyForCausalLM'],
  hidden_size: 64,
  padding: 'x'.repeat(3000),
});

/** Four files: one of several windows in LFS, three that the hub gives itself; two pages of the listing. */
export const model = oneCommit('acme/matrix', {
  'README.md': '# A model that has seen a lot\n',
  'config.json': config,
  'model.safetensors': safetensors(weightsSize, 5),
  'tokenizer/vocab.json': JSON.stringify({ a: 0, b: 1 }),
});
