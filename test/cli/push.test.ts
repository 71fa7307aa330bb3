import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { PublishResult } from '../../src/index.ts';
import { type CommandLine, startCommandLine } from '../support/command-line.ts';
import { type Hub, startHub } from '../support/hub.ts';
import { headOf, tinyModel } from '../support/models.ts';
import { runBoxcar } from '../support/run.ts';
import { tempDir } from '../support/temp-dir.ts';

const model = tinyModel();
const tag = headOf(model).slice(0, 12);
const digest = 'sha256:b231969c0882b4aac51f1f14fff2ef55bfa80afc2079e237024aab14960cec34';

describe('boxcar push: what scripts rely on', () => {
  let hub: Hub;
  let boxcar: CommandLine;
  before(async () => {
    hub = await startHub({ models: [model] });
    boxcar = startCommandLine();
  });
  after(() => Promise.all([hub.close(), boxcar.close()]));

  const env = () => ({ HF_ENDPOINT: hub.url });

  test('stdout has exactly the three lines, stderr the rest', async () => {
    const directory = join(tempDir(), 'image');
    const { code, stdout, stderr } = await runBoxcar(['push', model.name, `oci:${directory}`], {
      env: env(),
    });
    assert.equal(code, 0, stderr);
    assert.equal(
      stdout,
      `IMAGEREF=oci:${directory}:${tag}\nIMAGEREFDIGEST=oci:${directory}@${digest}\nMANIFESTDIGEST=${digest}\n`,
    );
    assert.match(stderr, /9 transferred/);
  });

  test('everything can come from the environment', async () => {
    const directory = join(tempDir(), 'image');
    const variables = {
      HF_REPO: model.name,
      HF_REVISION: 'v1.0',
      TARGET_REPO: `oci:${directory}`,
      TARGET_TAG: 'env',
    };
    const more = {
      ALSO_TAG: 'a,b',
      ALLOW_PATTERNS: '.json',
      LAYER_PREFIX: '',
      FAIL_FAST: 'false',
      FORCE: '0',
      WORKERS: '2',
    };
    const { code, stdout, stderr } = await boxcar.run(['push', '--json'], {
      env: { ...env(), ...variables, ...more },
    });
    assert.equal(code, 0, stderr);
    const result = JSON.parse(stdout) as PublishResult;
    assert.deepEqual(result.tags, ['env', 'a', 'b']);
    assert.ok(result.layers.length > 1 && result.layers.every(({ path }) => path.endsWith('.json')));
  });

  test('--json prints one object, for failures too', async () => {
    const done = await boxcar.run(['push', model.name, `oci:${join(tempDir(), 'x')}`, '--json'], {
      env: env(),
    });
    const result = JSON.parse(done.stdout) as PublishResult;
    assert.equal(result.manifestDigest, digest);
    assert.deepEqual(Object.keys(result.layers[0] ?? {}).sort(), [
      ...['bytesRead', 'bytesSent', 'digest', 'outcome', 'path', 'phases', 'retries', 'seconds', 'size'],
    ]);
    const failed = await runBoxcar(['push', 'acme/none', 'oci:x', '--json'], { env: env() });
    assert.equal(JSON.parse(failed.stdout).error.exitCode, failed.code);
  });

  test('--dry-run says what would happen and touches nothing', async () => {
    const home = tempDir();
    const { code, stdout } = await boxcar.run(['push', model.name, 'oci:image', '--dry-run'], {
      env: env(),
      home,
    });
    assert.equal(code, 0);
    assert.match(stdout, /model-00002-of-00002\.safetensors +2\.5 MB +transfer/);
    assert.throws(() => readFileSync(join(home, 'image', 'index.json')), { code: 'ENOENT' });
  });

  test('$GITHUB_OUTPUT gets the outputs', async () => {
    const home = tempDir();
    const GITHUB_OUTPUT = join(home, 'outputs');
    await boxcar.run(['push', model.name, 'oci:image'], { env: { ...env(), GITHUB_OUTPUT }, home });
    const outputs = readFileSync(GITHUB_OUTPUT, 'utf8');
    assert.equal(
      outputs,
      `image-ref=oci:image:${tag}\nimage-ref-digest=oci:image@${digest}\nmanifest-digest=${digest}\n`,
    );
  });

  test('--help and --version', async () => {
    const help = await boxcar.run(['push', '--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /--layer-prefix <dir>[\s\S]*LAYER_PREFIX[\s\S]*Exit status/);
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
    assert.equal((await runBoxcar(['--version'])).stdout, `${version}\n`);
  });

  const mistakes: [name: string, args: string[], code: number, says: RegExp][] = [
    ['no target', [model.name], 2, /<target> is missing/],
    ['a malformed model', ['a/b/c', 'oci:x'], 2, /not a model: "a\/b\/c"/],
    ['a malformed target', [model.name, 'Registry/UPPER'], 2, /not a target: "Registry\/UPPER"/],
    ['a malformed tag', [model.name, 'oci:x', '--target-tag', 'a b'], 2, /not a tag: "a b"/],
    ['an unknown option', [model.name, 'oci:x', '--bogus'], 2, /--bogus/],
    ['an unknown command', ['pull'], 2, /pull|unknown|too many/],
    [
      'workers out of range',
      [model.name, 'oci:x', '--workers', '99'],
      2,
      /--workers must be a whole number from 1 to 32/,
    ],
    ['no number', [model.name, 'oci:x', '--workers', 'four'], 2, /--workers/],
    ['something like auto', [model.name, 'oci:x', '--workers', 'autos'], 2, /--workers/],
    ['an unknown choice', [model.name, 'oci:x', '--upload', 'magic'], 2, /--upload/],
    [
      'no bandwidth',
      [model.name, 'oci:x', '--bandwidth', '0'],
      2,
      /--bandwidth must be[\s\S]*bytes, not bits/,
    ],
    ['a prefix that leaves', [model.name, 'oci:x', '--layer-prefix', '../etc'], 2, /--layer-prefix/],
    ['a page of another hub', ['https://elsewhere.example/acme/tiny', 'oci:x'], 2, /elsewhere\.example/],
    ['two revisions', [`${model.name}@v1.0`, 'oci:x', '--hf-revision', 'main'], 2, /two different revisions/],
    ['nothing left after the filters', [model.name, 'oci:x', '--include', '*.nothing'], 2, /leave none/],
    ['weights that are not there', [model.name, 'oci:x', '--weights', 'gguf'], 2, /no gguf weights/],
    ['an unknown model', ['acme/none', 'oci:x'], 3, /acme\/none[\s\S]*HF_TOKEN/],
    ['an unknown revision', [`${model.name}@nope`, 'oci:x'], 4, /no such revision/],
    ['no registry there', [model.name, '127.0.0.1:1/x'], 6, /nothing listens there/],
  ];
  for (const [name, args, code, says] of mistakes) {
    test(`${name}: exit ${code}`, async () => {
      const home = tempDir();
      const command = args.length === 1 && args[0] === 'pull' ? args : ['push', ...args];
      const result = await boxcar.run(command, { env: env(), home });
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stderr, says);
      assert.equal(result.stdout, '');
      assert.throws(() => readFileSync(join(home, 'x', 'index.json')), { code: 'ENOENT' });
    });
  }

  test('a directory that cannot be made is a mistake of the command', async () => {
    const home = tempDir();
    writeFileSync(join(home, 'file'), '');
    const { code, stderr } = await boxcar.run(['push', model.name, 'oci:file/image'], { env: env(), home });
    assert.equal(code, 2, stderr);
    assert.match(stderr, /cannot be written/);
  });

  test('a state file that is none of ours is kept, and the push works', async () => {
    const home = tempDir();
    const stateFile = join(home, 'state.json');
    writeFileSync(stateFile, '{"torn');
    const args = ['push', model.name, 'oci:image', '--state-file', stateFile];
    const { code, stderr } = await boxcar.run(args, { env: env(), home });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /is damaged[\s\S]*state\.json\.damaged/);
    assert.equal(readFileSync(`${stateFile}.damaged`, 'utf8'), '{"torn');
  });

  test('a state directory that cannot be made: goes on without, and says so', async () => {
    const home = tempDir();
    mkdirSync(join(home, '.local'));
    writeFileSync(join(home, '.local', 'state'), '');
    const { code, stderr } = await boxcar.run(['push', model.name, 'oci:image'], { env: env(), home });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /no progress is kept/);
  });
});
