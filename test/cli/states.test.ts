import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { statusJson } from '../../src/cli/reporters/status.ts';
import { listStates, removeStates } from '../../src/index.ts';
import { type CommandLine, startCommandLine } from '../support/command-line.ts';
import { startFakeRegistry } from '../support/fake-registry.ts';
import { type Hub, startHub } from '../support/hub.ts';
import { headOf, oneCommit } from '../support/models.ts';
import { describeEachRegistry, kindsInShort, type Registry, startRegistry } from '../support/registries.ts';
import { inspectRegistry } from '../support/registry-storage.ts';
import { type RunningProgram, startBoxcar } from '../support/run.ts';
import { tempDir } from '../support/temp-dir.ts';

const model = oneCommit('acme/left', {
  'config.json': '{}',
  'a.safetensors': { size: 30_000_000, seed: 1, lfs: true },
});
const tag = headOf(model).slice(0, 12);

let boxcar: CommandLine;
before(() => {
  boxcar = startCommandLine();
});
after(() => boxcar.close());

/** Resolves when config.json is in the target and some of the other file has been read. */
async function inTheMiddle(hub: Hub, program: RunningProgram): Promise<void> {
  const before = hub.bytesOf.get('a.safetensors') ?? 0;
  await program.said(/layer-done/);
  while ((hub.bytesOf.get('a.safetensors') ?? 0) < before + 4_000_000) await delay(20);
}

/** A push that SIGTERM has stopped in the middle of its layer. */
async function stopped(hub: Hub, target: string, home: string, ...extra: string[]): Promise<void> {
  const program = startBoxcar(['push', model.name, target, '--log-style', 'json', ...extra], {
    env: { HF_ENDPOINT: hub.url },
    home,
  });
  await inTheMiddle(hub, program);
  program.kill('SIGTERM');
  const { code, stderr } = await program.finished;
  assert.equal(code, 143, stderr);
}

const stateFiles = (home: string) =>
  readdirSync(join(home, '.local/state/boxcar')).filter((name) => name.endsWith('.json'));

describeEachRegistry(
  'status, abort and prune',
  (kind) => {
    let hub: Hub;
    let registry: Registry;
    before(async () => {
      hub = await startHub({ models: [model], bytesPerSecond: 3_000_000 });
      registry = await startRegistry({ kind });
    });
    after(() => Promise.all([hub.close(), registry.stop()]));

    /** Uploads that have bytes: of one that is cancelled an empty folder stays. */
    const open = (name: string) =>
      inspectRegistry(registry)
        .uploads(name)
        .filter((id) =>
          existsSync(
            join(registry.storageDir, 'docker/registry/v2/repositories', name, '_uploads', id, 'data'),
          ),
        );

    // What is asked of the registry is the same for both.
    for (const where of kind === 'distribution-3' ? (['file', 'registry'] as const) : (['registry'] as const))
      test(`a state in a ${where}: told, and given up`, async (t) => {
        const home = tempDir(t);
        const name = `left-${where}`;
        const repository = `${registry.host}/${name}`;
        await stopped(hub, repository, home, '--state', where);
        const uploads = () => open(name);
        assert.equal(uploads().length, 1);
        const [session = ''] = uploads();

        const status = await boxcar.run(['status', repository], { home });
        assert.equal(status.code, 0, status.stderr);
        assert.match(status.stdout, /config\.json +done/);
        assert.match(status.stdout, /a\.safetensors +\d+ % \(\d+\/30 MB\), session \d+ s old/);
        const what = `${repository}:${tag}`;
        const env = { HOME: home };
        const json = statusJson(await listStates({ what, env }), Date.now());
        const [state] = JSON.parse(json).states;
        assert.equal(state.kind, where);
        for (const shown of [status.stdout, json, status.stderr])
          assert.doesNotMatch(shown, new RegExp(`${session}|_state|/blobs/`));

        assert.deepEqual(await removeStates({ what, env, olderThanMs: 3_600_000 }), []);
        const listed = await boxcar.run(['prune', repository, '--older-than', '0m'], { home });
        assert.match(listed.stdout, /a\.safetensors[\s\S]*prune --yes removes these/);
        assert.equal(uploads().length, 1);

        const aborted = await boxcar.run(['abort', repository], { home });
        assert.equal(aborted.code, 0, aborted.stderr);
        assert.match(aborted.stdout, /^removed .*, cancelled 1 upload session\n$/);
        assert.deepEqual(uploads(), []);
        if (where === 'file') assert.deepEqual(readdirSync(join(home, '.local/state/boxcar')), []);
        else assert.equal(await inspectRegistry(registry).manifest(name, `${tag}.partial`), undefined);
        const again = await boxcar.run(['abort', repository], { home });
        assert.deepEqual([again.code, again.stdout], [0, 'there is nothing to remove\n']);
      });

    test('a shard that is stopped has recorded what it has; abort of one tag leaves the other', async (t) => {
      const home = tempDir(t);
      const repository = `${registry.host}/tags`;
      await stopped(hub, `${repository}:one`, home, '--shard', '1/1');
      await stopped(hub, `${repository}:two`, home, '--state', 'registry');
      const tags = () =>
        Promise.all(
          ['one.partial-0-1', 'two.partial'].map(
            async (each) => (await inspectRegistry(registry).manifest('tags', each)) !== undefined,
          ),
        );
      assert.deepEqual(await tags(), [true, true]);
      const [stored] = await listStates({ what: `${repository}:one`, env: { HOME: home } });
      assert.match(stored?.name ?? '', /one\.partial-0-1$/);
      assert.ok(Object.values(stored?.state.layers ?? {}).some(({ upload }) => (upload?.offset ?? 0) > 0));
      const aborted = await boxcar.run(['abort', `${repository}:one`], { home });
      assert.equal(aborted.code, 0, aborted.stderr);
      assert.deepEqual(await tags(), [false, true]);
      assert.equal(
        (await boxcar.run(['prune', repository, '--older-than', '0m', '--yes'], { home })).code,
        0,
      );
      assert.deepEqual(await tags(), [false, false]);
      assert.deepEqual(open('tags'), []);
    });
  },
  kindsInShort,
);

describe('states of files', () => {
  test('one that a process is using stays, and that is said', async (t) => {
    const hub = await startHub({ models: [model], bytesPerSecond: 1_000_000 });
    const registry = await startFakeRegistry('distribution3');
    t.after(() => Promise.all([hub.close(), registry.close()]));
    const home = tempDir(t);
    const target = `${registry.host}/acme/used`;
    const program = startBoxcar(['push', model.name, target, '--log-style', 'json'], {
      env: { HF_ENDPOINT: hub.url },
      home,
    });
    await inTheMiddle(hub, program);
    const status = await boxcar.run(['status'], { home });
    assert.match(status.stdout, /process \d+ is using it/);
    const aborted = await boxcar.run(['abort', target], { home });
    assert.equal(aborted.code, 1);
    assert.match(aborted.stdout, /^kept .*: process \d+ is using it: stop that first\n$/);
    program.kill('SIGKILL');
    await program.finished;
  });

  const state = (target: string, layers = {}) =>
    JSON.stringify({ version: 2, model: 'a/b', commit: '0'.repeat(40), target, layers });

  test('prune looks at the age, asks no registry where no upload is open, and none twice where it is gone', async (t) => {
    const home = tempDir(t);
    const folder = join(home, '.local/state/boxcar');
    mkdirSync(folder, { recursive: true });
    const registry = await startFakeRegistry('distribution3');
    t.after(() => registry.close());
    const old = new Date(Date.now() - 8 * 24 * 60 * 60 * 1000);
    const layer = { contentId: `git:${'0'.repeat(40)}`, size: 10 };
    const upload = { location: 'http://127.0.0.1:1/v2/x/blobs/uploads/1', offset: 1 };
    writeFileSync(join(folder, 'old.json'), state(`${registry.host}/x`, { x: layer }));
    writeFileSync(join(folder, 'new.json'), state(`${registry.host}/x`));
    writeFileSync(join(folder, 'gone.json'), state('127.0.0.1:1/x', { x: { ...layer, upload } }));
    for (const name of ['old.json', 'gone.json']) utimesSync(join(folder, name), old, old);
    const listed = await boxcar.run(['prune'], { home });
    assert.match(listed.stdout, /old\.json[\s\S]*prune --yes/);
    assert.doesNotMatch(listed.stdout, /new\.json/);
    assert.equal(stateFiles(home).length, 3);
    const pruned = await boxcar.run(['prune', '--yes', '--json'], { home });
    assert.equal(pruned.code, 0, pruned.stderr);
    const { removed } = JSON.parse(pruned.stdout);
    assert.deepEqual(
      removed.map(({ cancelled, uncancelled }: Record<string, number>) => [cancelled, uncancelled]).sort(),
      [
        [0, 0],
        [0, 1],
      ],
    );
    assert.deepEqual(stateFiles(home), ['new.json']);
    assert.equal(registry.requests.length, 0);
  });

  test('a layout: its unfinished file goes', async (t) => {
    const hub = await startHub({ models: [model], bytesPerSecond: 3_000_000 });
    t.after(() => hub.close());
    const home = tempDir(t);
    const directory = join(tempDir(t), 'layout');
    await stopped(hub, `oci:${directory}`, home);
    const files = () =>
      readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((each) => /partial/.test(each));
    assert.equal(files().length, 1);
    const aborted = await boxcar.run(['abort', `oci:${directory}`], { home });
    assert.deepEqual([aborted.code, files().length], [0, 0], aborted.stdout + aborted.stderr);
  });

  const wrong: [string, (folder: string) => string[], RegExp][] = [
    ['a file that is no state', (folder) => ['abort', join(folder, 'other.json')], /is damaged/],
    ['nothing', () => ['abort'], /which publish/],
    ['no age', () => ['prune', '--older-than', 'yesterday'], /30m, 12h, 7d/],
  ];
  for (const [what, args, said] of wrong)
    test(`${what}: exit 2`, async (t) => {
      const folder = tempDir(t);
      writeFileSync(join(folder, 'other.json'), '{}');
      const { code, stderr } = await boxcar.run(args(folder));
      assert.equal(code, 2, stderr);
      assert.match(stderr, said);
      assert.ok(existsSync(join(folder, 'other.json')));
    });

  test('a file that is not there, a directory, no target', async (t) => {
    const folder = tempDir(t);
    const env = { HOME: folder };
    const of = (what: string) => listStates({ what, env });
    await assert.rejects(of(join(folder, 'x.json')), { exitCode: 2, message: /does not exist/ });
    await assert.rejects(of(folder), { exitCode: 2, message: /is a directory/ });
    await assert.rejects(of('https://???'), { exitCode: 2 });
  });

  test('a registry that does not answer: exit 6, and one that does not list its tags is told to have its tag named', async (t) => {
    const gone = await boxcar.run(['status', '127.0.0.1:1/x:v1']);
    assert.equal(gone.code, 6, gone.stderr);
    const registry = await startFakeRegistry('distribution3', { tagsList: 'refused' });
    t.after(() => registry.close());
    const unlisted = await boxcar.run(['status', `${registry.host}/x`]);
    assert.equal(unlisted.code, 6);
    assert.match(unlisted.stderr, /name an image's tag/);
    assert.equal((await boxcar.run(['status', `${registry.host}/x:v1`])).code, 0);
  });
});
