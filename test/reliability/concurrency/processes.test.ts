import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type PublishResult, push } from '../../../src/index.ts';
import { type Hub, startHub } from '../../support/hub.ts';
import { bigModel, tinyModel } from '../../support/models.ts';
import { describeEachRegistry, type Registry, startRegistry } from '../../support/registries.ts';
import { inspectRegistry } from '../../support/registry-storage.ts';
import { type FinishedProgram, type RunningProgram, startBoxcar } from '../../support/run.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { startWatchingProxy } from '../kill/watching-proxy.ts';
import { long, tally } from '../tally.ts';

const mb = 1_000_000;
const model = bigModel({ files: 2, size: 9 * mb, name: 'acme/raced' });
const other = tinyModel();
const counts = { processes: 0, images: 0 };

let hub: Hub;
let env: Record<string, string>;
before(async () => {
  hub = await startHub({ models: [model, other], bytesPerSecond: 3 * mb });
  env = { HF_ENDPOINT: hub.url };
});
after(() => hub.close());

/** So many processes, started at once. */
async function together(
  runs: { args: string[]; home?: string }[],
  then: (programs: RunningProgram[]) => Promise<unknown> = async () => {},
): Promise<FinishedProgram[]> {
  const programs = runs.map(({ args, home }) =>
    startBoxcar(['push', ...args, '--log-style', 'json'], { env, ...(home ? { home } : {}) }),
  );
  counts.processes += programs.length;
  counts.images += 1;
  const [finished] = await Promise.all([Promise.all(programs.map((each) => each.finished)), then(programs)]);
  return finished;
}

function resultsOf(finished: FinishedProgram[]): PublishResult[] {
  for (const { code, stderr } of finished) assert.equal(code, 0, stderr);
  return finished.map(({ stdout }) => JSON.parse(stdout));
}

function assertBlobs(read: (digest: string) => Buffer, { layers }: PublishResult): void {
  for (const { digest } of layers) {
    assert.equal(`sha256:${createHash('sha256').update(read(digest)).digest('hex')}`, digest);
  }
}

/** A home whose state file is half-way: what a CI's cache brings back. */
async function halfway(target: string): Promise<{ home: string; state: string }> {
  const home = tempDir();
  const state = join(home, 'state.json');
  const abort = new AbortController();
  const pushing = push({
    model: model.name,
    target,
    stateFile: state,
    env: { ...env, HOME: home },
    signal: abort.signal,
    onEvent: (event) => {
      if (event.type === 'layer-progress' && event.offset > 4 * mb) abort.abort();
    },
  });
  await assert.rejects(pushing, { code: 'stopped' });
  return { home, state };
}

describeEachRegistry('processes at once', (kind) => {
  let registry: Registry;
  before(async () => {
    registry = await startRegistry({ kind });
  });
  after(() => registry.stop());
  const blob = (digest: string) => inspectRegistry(registry).blob(digest);

  if (!long && kind === 'distribution-2') return;

  test('three publish the same model to the same tag, with one state file', async (t) => {
    const proxy = await startWatchingProxy(registry.url);
    t.after(() => proxy[Symbol.asyncDispose]());
    const all = Promise.withResolvers<void>();
    // None ends before the last has begun.
    proxy.watch = { arrived: ({ method }) => (method === 'PUT' ? all.promise : undefined) };
    const args = [model.name, `${proxy.host}/one-home:v1`, '--also-tag', 'latest', '--json'];
    const home = tempDir();
    const finished = await together(
      [1, 2, 3].map(() => ({ args, home })),
      (programs) => Promise.all(programs.map((each) => each.said(/layer-started/))).then(() => all.resolve()),
    );
    const [first, ...others] = resultsOf(finished);
    for (const each of others) assert.equal(each.manifestDigest, first?.manifestDigest);
    assert.deepEqual(inspectRegistry(registry).tags('one-home'), ['latest', 'v1']);
    assertBlobs(blob, first as PublishResult);
    const waiting = finished.filter(({ stderr }) => /process \d+ is using the state file/.test(stderr));
    assert.equal(waiting.length, 2, 'one has the state file, the others say who');
  });

  test('two different models to one tag: the one that comes later is refused', async (t) => {
    const proxy = await startWatchingProxy(registry.url);
    t.after(() => proxy[Symbol.asyncDispose]());
    const sooner = Promise.withResolvers<void>();
    // Both have seen no tag; this one's layers are not closed before the other has ended.
    const uploading = new Promise<void>((resolve) => {
      proxy.watch = {
        arrived({ method }) {
          if (method === 'PATCH') resolve();
          return method === 'PUT' ? sooner.promise : undefined;
        },
      };
    });
    const late = startBoxcar(['push', model.name, `${proxy.host}/contested:v1`], { env });
    await uploading;
    const first = await together([{ args: [other.name, `${registry.host}/contested:v1`, '--json'] }]);
    const [result] = resultsOf(first);
    sooner.resolve();
    const { code, stderr } = await late.finished;
    const there = await inspectRegistry(registry).manifest('contested', 'v1');
    assert.equal(there?.digest, result?.manifestDigest, 'the tag is not moved without --force');
    assert.equal(code, 8, stderr);
  });

  if (!long) return;

  test('two of different homes', async () => {
    const args = [model.name, `${registry.host}/two-homes:v1`, '--json'];
    const finished = await together([{ args }, { args }]);
    const [one, two] = resultsOf(finished);
    assert.equal(one?.manifestDigest, two?.manifestDigest);
    for (const { stderr } of finished) assert.doesNotMatch(stderr, /state file/);
    assertBlobs(blob, one as PublishResult);
  });

  test('two whose state is the same copy of one that was half-way: they share an upload session', async () => {
    const target = `${registry.host}/copied:v1`;
    const { home, state } = await halfway(target);
    const args = [model.name, target, '--json', '--state-file'];
    const copy = join(home, 'copy.json');
    cpSync(state, copy);
    const [one, two] = resultsOf(await together([{ args: [...args, state] }, { args: [...args, copy] }]));
    assert.equal(one?.manifestDigest, two?.manifestDigest);
    assertBlobs(blob, one as PublishResult);
  });

  test('two different models to one repository: each its tag', async () => {
    const target = `${registry.host}/shared`;
    const [one, two] = resultsOf(
      await together([
        { args: [model.name, `${target}:one`, '--json'] },
        { args: [other.name, `${target}:two`, '--json'] },
      ]),
    );
    const inspection = inspectRegistry(registry);
    assert.equal((await inspection.manifest('shared', 'one'))?.digest, one?.manifestDigest);
    assert.equal((await inspection.manifest('shared', 'two'))?.digest, two?.manifestDigest);
    assertBlobs(blob, two as PublishResult);
  });
});

for (const copied of long ? [false, true] : []) {
  test(`one image layout, ${copied ? 'copies of one state' : 'homes of their own'}`, async () => {
    const directory = join(tempDir(), 'image');
    const target = `oci:${directory}`;
    const runs = [
      { args: [model.name, `${target}:one`, '--json'] },
      { args: [model.name, `${target}:two`, '--json'] },
    ];
    if (copied) {
      const { home, state } = await halfway(`${target}:one`);
      const copy = join(home, 'copy.json');
      cpSync(state, copy);
      runs.forEach(({ args }, i) => {
        args.push('--state-file', [state, copy][i] as string);
      });
    }
    const [one, two, third] = resultsOf(
      await together([...runs, { args: [other.name, `${target}:three`, '--json'] }]),
    );
    assert.equal(one?.manifestDigest, two?.manifestDigest);
    const index = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8'));
    assert.equal(index.manifests.length, 3);
    const blob = (digest: string) =>
      readFileSync(join(directory, 'blobs/sha256', digest.slice('sha256:'.length)));
    for (const each of [one, third]) assertBlobs(blob, each as PublishResult);
  });
}

after(() => {
  tally('concurrency', {
    what: `${counts.processes} processes, two or three at a time, on one repository, tag, state file or image layout`,
    result: `${counts.images} times the right image`,
  });
});
