import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type BoxcarError, type PublishEvent, type PublishResult, push } from '../../src/index.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import type { HubFault } from '../support/hub/faults.ts';
import { type Hub, type HubOptions, startHub } from '../support/hub.ts';
import { oneCommit, safetensors, tinyModel } from '../support/models.ts';
import { describeEachRegistry, kindsInShort, type Registry, startRegistry } from '../support/registries.ts';
import { inspectRegistry } from '../support/registry-storage.ts';
import { runBoxcar, startBoxcar } from '../support/run.ts';
import { tempDir } from '../support/temp-dir.ts';

const model = tinyModel();
const weights = 'model-00002-of-00002.safetensors';
const digest = 'sha256:b231969c0882b4aac51f1f14fff2ef55bfa80afc2079e237024aab14960cec34';

describeEachRegistry(
  'a push that meets faults',
  (kind) => {
    async function setup(context: TestContext, options: Partial<HubOptions> = {}) {
      const hub = await startHub({ models: [model], ...options });
      const registry = await startRegistry({ kind });
      context.after(() => Promise.all([hub.close(), registry.stop()]));
      const home = tempDir(context);
      const env = { HF_ENDPOINT: hub.url, HOME: home };
      return {
        hub,
        registry,
        options: { model: model.name, target: `${registry.host}/x`, backoffMs: 2, env },
      };
    }

    /** The error a push ends with; nothing must be tagged then. */
    async function failure(registry: Registry, pushing: Promise<PublishResult>): Promise<BoxcarError> {
      const error = await pushing.then(
        () => assert.fail('it should have failed'),
        (thrown: BoxcarError) => thrown,
      );
      assert.deepEqual(inspectRegistry(registry).tags('x'), []);
      return error;
    }

    function always(hub: Hub, action: HubFault): void {
      hub.faults.push({ match: { path: /00002-of-00002/ }, times: Number.POSITIVE_INFINITY, action });
    }

    test('a byte flipped once on the way: the file is read again, and right', async (context) => {
      const { hub, options } = await setup(context);
      hub.faults.push({ match: { path: /00002-of/ }, action: { kind: 'flip', at: 1_234_567 } });
      const result = await push(options);
      assert.equal(result.manifestDigest, digest);
      assert.equal(hub.faults.length, 0);
      const layer = result.layers.find(({ path }) => path === weights);
      assert.equal(layer?.retries, 1);
      assert.ok((layer?.bytesRead ?? 0) > 5_000_000);
    });

    test('a byte flipped every time: exit 9, and nothing of it is left', async (context) => {
      const { hub, registry, options } = await setup(context);
      always(hub, { kind: 'flip', at: 1_234_567 });
      // One worker begins with the largest file, which is this one: only small ones have come beside it.
      const error = await failure(registry, push({ ...options, workers: 1 }));
      assert.deepEqual([error.code, error.exitCode, error.side], ['content-mismatch', 9, 'hub']);
      assert.match(error.message, /model-00002-of-00002/);
      // Both registries keep an empty directory of a cancelled upload.
      assert.ok(inspectRegistry(registry).bytesOnDisk() < 1_300_000);
    });

    test('with verifyContent off the hub is believed, of large files, and that is said', async (context) => {
      const { hub, registry, options } = await setup(context);
      always(hub, { kind: 'flip', at: 1_234_567 });
      const told: string[] = [];
      const onEvent = (event: PublishEvent) => event.type === 'notice' && told.push(event.message);
      const result = await push({ ...options, verifyContent: false, onEvent });
      assert.notEqual(result.manifestDigest, digest);
      assert.ok(told.some((message) => message.includes('--no-verify-content')));
      const layer = result.layers.find(({ path }) => path === weights);
      assert.equal(layer?.retries, 0);
      // What the registry has is what was sent.
      assert.equal(digestOf(inspectRegistry(registry).blob(layer?.digest as Digest)), layer?.digest);
      const other = { ...options, target: `${registry.host}/small`, verifyContent: false };
      hub.faults.length = 0;
      hub.faults.push({ match: { path: /config\.json/ }, times: Infinity, action: { kind: 'flip', at: 5 } });
      await assert.rejects(push(other), { code: 'content-mismatch' });
    });

    test('a file shorter than listed: nothing published', async (context) => {
      const { hub, registry, options } = await setup(context);
      always(hub, { kind: 'headers', headers: { 'content-range': 'bytes 0-1000/1001' } });
      assert.equal((await failure(registry, push(options))).exitCode, 9);
    });

    test('a file that always ends early: the hub failed', async (context) => {
      const { hub, registry, options } = await setup(context);
      always(hub, { kind: 'status', status: 206, headers: { 'content-range': 'bytes 0-2500076/2500077' } });
      assert.equal((await failure(registry, push({ ...options, hfMaxRetries: 2 }))).exitCode, 5);
    });

    test('more bytes than promised are not taken', async (context) => {
      const { hub, options } = await setup(context);
      always(hub, { kind: 'long', by: 100 });
      assert.equal((await push(options)).manifestDigest, digest);
    });

    test('the hub down for good: exit 5 after as many attempts as allowed', async (context) => {
      const { hub, registry, options } = await setup(context);
      always(hub, { kind: 'status', status: 503 });
      const error = await failure(registry, push({ ...options, hfMaxRetries: 3 }));
      assert.deepEqual([error.exitCode, error.request?.status], [5, 503]);
      const asked = hub.requests.filter(({ path }) => path.includes('00002-of'));
      assert.ok(asked.length >= 4 && asked.length <= 12, `${asked.length} requests`);
    });

    test('everything cut now and then: the same image', async (context) => {
      const { hub, options } = await setup(context);
      for (const after of [10, 100_000, 500_000]) {
        hub.faults.push({
          match: { path: /safetensors/, origin: 'cdn' },
          times: 2,
          action: { kind: 'cut', after },
        });
      }
      hub.faults.push({ match: { origin: 'hub' }, skip: 3, times: 2, action: { kind: 'reset' } });
      hub.faults.push({ match: { origin: 'cdn' }, times: 1, action: { kind: 'gzip' } });
      assert.equal((await push(options)).manifestDigest, digest);
      assert.equal(hub.faults.length, 0);
    });

    test('signed URLs that expire are resolved again', async (context) => {
      const { hub, options } = await setup(context);
      const onEvent = (event: { type: string }) => {
        if (event.type === 'layer-done') hub.expireUrls();
      };
      assert.equal((await push({ ...options, onEvent })).manifestDigest, digest);
    });

    test('one failed layer among others, with and without fail-fast', async (context) => {
      const { hub, registry, options } = await setup(context);
      always(hub, { kind: 'status', status: 500 });
      const all = await failure(registry, push({ ...options, hfMaxRetries: 1, failFast: false }));
      assert.deepEqual([all.code, all.exitCode], ['layers-failed', 7]);
      assert.match(all.message, /1 of 9 layers failed/);
      hub.faults.length = 0;
      const result = await push(options);
      assert.deepEqual([result.totals.reused, result.totals.resumed + result.totals.transferred], [8, 1]);
    });

    test('a gated model is refused before anything is sent', async (context) => {
      const gated = { ...tinyModel('acme/gated'), gated: 'manual' as const };
      const access = { token: 'hf_good', strangerToken: 'hf_stranger', anonymous: true };
      const { registry, options } = await setup(context, { models: [gated], ...access });
      const anonymous = await failure(registry, push({ ...options, model: gated.name }));
      assert.equal(anonymous.exitCode, 3);
      assert.match(`${anonymous.message} ${anonymous.hint}`, /gated.*accept its terms.*HF_TOKEN/);
      const env = { ...options.env, HF_TOKEN: 'hf_stranger' };
      const stranger = await failure(registry, push({ ...options, env, model: gated.name }));
      assert.match(stranger.hint ?? '', /accept its terms.*fine-grained/);
      assert.deepEqual(inspectRegistry(registry).uploads('x'), []);
      const good = await push({
        ...options,
        env: { ...options.env, HF_TOKEN: 'hf_good' },
        model: gated.name,
      });
      assert.equal(good.totals.transferred, 9);
    });

    test('a hostile listing is refused', async (context) => {
      for (const path of ['../escape', '/etc/passwd', 'a/../../b', 'nul\0byte']) {
        const hostile = oneCommit('acme/hostile', { 'config.json': '{}', [path]: 'x' });
        const { registry, options } = await setup(context, { models: [hostile] });
        const error = await failure(registry, push({ ...options, model: hostile.name }));
        assert.equal(error.exitCode, 9, path);
      }
    });

    test('no redirect takes the token along, and the state file holds no secret', async (context) => {
      const { hub, registry } = await setup(context, { token: 'hf_secret_token', redirectStatus: 307 });
      const home = tempDir(context);
      const env = { HF_ENDPOINT: hub.url, HF_TOKEN: 'hf_secret_token' };
      const args = ['push', model.name, `${registry.host}/x`, '--verbose', '--log-style', 'json'];
      const { code, stdout, stderr } = await runBoxcar(args, { env, home });
      assert.equal(code, 0, stderr);
      assert.deepEqual(hub.violations, []);
      const folder = join(home, '.local/state/boxcar');
      const [file = ''] = readdirSync(folder).filter((name) => name.endsWith('.json'));
      assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600);
      assert.doesNotMatch(readFileSync(join(folder, file), 'utf8') + stdout + stderr, /hf_secret_token/);
    });

    test('a second signal ends it at once', async (context) => {
      const big = oneCommit('acme/stuck', { 'model.safetensors': safetensors(3_000_000, 8) });
      const { hub, registry } = await setup(context, { models: [big] });
      hub.faults.push({
        match: { origin: 'cdn' },
        times: Number.POSITIVE_INFINITY,
        action: { kind: 'stall', after: 1000 },
      });
      const program = startBoxcar(['push', big.name, `${registry.host}/x`], {
        env: { HF_ENDPOINT: hub.url },
      });
      await program.said(/1 file/);
      program.kill('SIGTERM');
      await program.said(/stopping on SIGTERM/);
      program.kill('SIGTERM');
      assert.equal((await program.finished).code, 143);
    });
  },
  kindsInShort,
);
