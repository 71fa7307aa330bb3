import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { planModelcar } from '../../src/formats/modelcar.ts';
import { type BoxcarError, type PublishEvent, planPush, push } from '../../src/index.ts';
import { checkLimits } from '../../src/publish/policy.ts';
import { startFakeRegistry } from '../support/fake-registry.ts';
import { startHub } from '../support/hub.ts';
import { manyFiles, oneCommit, safetensors } from '../support/models.ts';
import { runBoxcar } from '../support/run.ts';

const pickle = Buffer.concat([Buffer.from([0x80, 4, 0x95]), Buffer.alloc(100)]);
const archive = Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(100)]);

/** What is unsafe of it, and why. */
const unsafe: Record<string, string> = {
  'checkpoint.pt': 'a pickle, by its name',
  'data.bin': 'a pickle, by its first bytes',
  'flagged.onnx': "the hub's scanner says unsafe",
  'nested/old.pkl': 'a pickle, by its name',
  'odd.safetensors': "the hub's scanner says suspicious",
  'pytorch_model-00001-of-00002.bin': 'a pickle, by its name',
  'zipped.bin': 'a pickle, by its first bytes',
};
const files = {
  'README.md': 'a card',
  'checkpoint.pt': 'torch',
  'data.bin': { bytes: pickle },
  'empty.bin': '',
  'flagged.onnx': { bytes: 'onnx', security: 'unsafe' },
  'model.safetensors': safetensors(100_000, 1),
  'nested/old.pkl': 'p',
  'odd.safetensors': { bytes: 'x', security: 'suspicious' },
  'openvino.bin': 'not at all',
  'pytorch_model-00001-of-00002.bin': 'torch',
  'unscanned.json': { bytes: '{}', security: 'unscanned' },
  'zipped.bin': { bytes: archive },
};

describe('--deny-unsafe', () => {
  async function setup(context: TestContext) {
    const models = [oneCommit('acme/unsafe', files), manyFiles(130, 'acme/wide')];
    const hub = await startHub({ models });
    const registry = await startFakeRegistry('distribution3');
    context.after(() => Promise.all([hub.close(), registry.close()]));
    const target = `${registry.host}/acme/x`;
    const told: string[] = [];
    const onEvent = (event: PublishEvent) => {
      if (event.type === 'notice' && event.level === 'warning') told.push(event.message);
    };
    const env = { HF_ENDPOINT: hub.url };
    return {
      hub,
      registry,
      told,
      options: { model: 'acme/unsafe', target, onEvent, env, stateFile: false as const },
    };
  }

  test('lists every pickle and every flagged file, and no byte reaches the registry', async (t) => {
    const { registry, told, options } = await setup(t);
    await assert.rejects(
      push({ ...options, denyUnsafe: true }),
      (error: BoxcarError) =>
        error.exitCode === 9 && error.code === 'unsafe' && /^7 of 12 files are unsafe/.test(error.message),
    );
    assert.deepEqual(
      told,
      Object.entries(unsafe).map(([path, why]) => `unsafe: ${path} (${why})`),
    );
    assert.ok(registry.requests.every(({ method }) => method === 'GET'));
  });

  test('what is left out is not judged; a dry run judges, too', async (t) => {
    const { hub, options } = await setup(t);
    const exclude = Object.keys(unsafe);
    const result = await push({ ...options, denyUnsafe: true, exclude });
    assert.equal(result.layers.length, 5);
    await assert.rejects(planPush({ ...options, denyUnsafe: true }), { code: 'unsafe' });
    const args = ['push', 'acme/unsafe', options.target, '--deny-unsafe', '--dry-run'];
    const { code, stderr } = await runBoxcar(args, { env: { HF_ENDPOINT: hub.url } });
    assert.equal(code, 9);
    assert.match(stderr, /unsafe: nested\/old\.pkl \(a pickle, by its name\)/);
  });

  test('without it the scanners are not asked', async (t) => {
    const { hub, options } = await setup(t);
    const result = await push(options);
    assert.equal(result.layers.length, 12);
    assert.ok(hub.requests.every(({ url }) => !url.includes('expand=true')));
  });

  test('more layers than Docker takes are said before anything is sent', async (t) => {
    const { told, registry, options } = await setup(t);
    await planPush({ ...options, model: 'acme/wide' });
    assert.match(told.join(), /130 layers: Docker .* takes 125/);
    assert.ok(registry.requests.every(({ method }) => method === 'GET'));
  });
});

describe('what a registry cannot take', () => {
  test('a layer over the limit of a known registry', async () => {
    const files = [
      { path: 'model.gguf', size: 11 * 1024 ** 3, contentId: `sha256:${'0'.repeat(64)}` as const },
      { path: 'x', size: 1, contentId: `sha256:${'1'.repeat(64)}` as const },
    ];
    const snapshot = { model: 'acme/huge', commit: '0'.repeat(40), files, card: {} };
    const plan = await planModelcar(snapshot, {
      prefix: 'models/',
      platform: { os: 'linux', architecture: 'amd64' },
    });
    assert.throws(() => checkLimits(plan, { layer: 10 * 1024 ** 3 }, 'ghcr.io/acme/huge'), {
      code: 'usage',
      exitCode: 2,
      message: 'ghcr.io/acme/huge takes layers of at most 10.0 GiB, and model.gguf is larger',
    });
    checkLimits(plan, { layer: 20 * 1024 ** 3, manifest: 4 * 1024 ** 2 }, 'quay.io/acme/huge');
    checkLimits(plan, {}, 'oci:here');
  });

  test('a manifest over 4 MiB', async () => {
    const contentId = `sha256:${'0'.repeat(64)}` as const;
    const files = Array.from({ length: 12_000 }, (_, n) => ({ path: `file-${n}.json`, size: 1, contentId }));
    const snapshot = { model: 'acme/wide', commit: '0'.repeat(40), files, card: {} };
    const platform = { os: 'linux', architecture: 'amd64' };
    const plan = await planModelcar(snapshot, { prefix: 'models/', platform });
    assert.throws(() => checkLimits(plan, { manifest: 4 * 1024 ** 2 }, 'registry'), {
      code: 'usage',
      message: /^the manifest of 12000 layers would have \d+ bytes, and registries take 4194304$/,
    });
  });
});
