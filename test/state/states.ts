import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { StateFile } from '../../src/state/state-file.ts';
import type { LayerState, PublishState, StateIdentity } from '../../src/state/state-schema.ts';
import { tempDir } from '../support/temp-dir.ts';

export const identity: StateIdentity = {
  model: 'acme/llm',
  commit: 'c0ffee'.padEnd(40, '0'),
  target: 'registry.example/acme/llm',
};

const chain = 'ab'.repeat(32);

/** One of each kind: done, half-way, known but not begun. */
export const layers: Record<string, LayerState> = {
  'models/done': { contentId: `git:${'1'.repeat(40)}`, size: 2560, digest: `sha256:${chain}` },
  'models/half': {
    contentId: `sha256:${'2'.repeat(64)}`,
    size: 9_000_000,
    upload: { location: 'https://registry.example/v2/acme/llm/blobs/uploads/7?_state=x', offset: 5_000_000 },
    checkpoints: [
      { offset: 512, layer: chain },
      { offset: 4_194_304, layer: chain, content: chain },
    ],
  },
  'models/none': { contentId: `git:${'3'.repeat(40)}`, size: 0 },
};

export const full: PublishState = { version: 2, ...identity, layers };

export interface Opened {
  path: string;
  notices: string[];
  file: StateFile | undefined;
}

/** Opens a state file, closed after the test. */
export async function openState(
  t: TestContext,
  path = join(tempDir(t), 'state.json'),
  about = identity,
): Promise<Opened> {
  const notices: string[] = [];
  const file = await StateFile.open(path, about, (notice) => notices.push(notice));
  t.after(() => file?.close().catch(() => {}));
  return { path, notices, file };
}
