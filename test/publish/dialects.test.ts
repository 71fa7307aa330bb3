import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type PublishEvent, push } from '../../src/index.ts';
import { type DialectName, dialects, startFakeRegistry } from '../support/fake-registry.ts';
import { startHub } from '../support/hub.ts';
import { tinyModel } from '../support/models.ts';
import { tempDir } from '../support/temp-dir.ts';

const model = tinyModel();
const digest = 'sha256:b231969c0882b4aac51f1f14fff2ef55bfa80afc2079e237024aab14960cec34';

/** What `--dialect` would be for each stand-in; where there is no name the run finds out by itself. */
const names: Partial<Record<DialectName, string>> = {
  ecr: 'ecr',
  ghcr: 'ghcr',
  gar: 'gar',
  acr: 'acr',
  quay: 'quay',
  cloudflare: 'cloudflare',
  cloudflareReset: 'cloudflare',
  balancer: 'balancer',
};

describe('the same image in every dialect', () => {
  for (const name of Object.keys(dialects) as DialectName[]) {
    for (const dialect of new Set([undefined, names[name]])) {
      test(`${name}${dialect ? ', known' : ''}`, async (t) => {
        const hub = await startHub({ models: [model] });
        // Smaller than the tiny model's files, as the real limits are smaller than real files.
        const bodyLimit = dialects[name].bodyLimit;
        const bytes = Math.min(bodyLimit.bytes, 1_500_000);
        const registry = await startFakeRegistry(
          name,
          Number.isFinite(bodyLimit.bytes) ? { bodyLimit: { ...bodyLimit, bytes } } : {},
        );
        t.after(() => Promise.all([hub.close(), registry.close()]));
        const options = {
          model: model.name,
          target: `${registry.host}/acme/x`,
          chunkMib: 1,
          dialect,
          backoffMs: 1,
          env: { HF_ENDPOINT: hub.url, HOME: tempDir(t) },
        };
        const result = await push(options);
        assert.equal(result.manifestDigest, digest);
        const tag = result.tags[0];
        assert.ok(registry.manifests.has(`acme/x:${tag}`));
        // Where connections are reset nothing more is asked of them.
        if (dialect || name !== 'cloudflareReset')
          assert.deepEqual(registry.uploads(), [], 'no session is left');
        assert.equal((await push(options)).totals.reused, 9);
      });
    }
  }

  test('retries before the first layer are told, with their reason', async (t) => {
    const hub = await startHub({ models: [model] });
    const registry = await startFakeRegistry('distribution3');
    t.after(() => Promise.all([hub.close(), registry.close()]));
    const limited = { ratelimit: '"api";r=0;t=0' };
    hub.faults.push({
      match: { path: /\/tree\// },
      action: { kind: 'status', status: 429, headers: limited },
    });
    registry.faults.push({ match: { path: /manifests/ }, action: { kind: 'answer', status: 503 } });
    const told: string[] = [];
    const onEvent = (event: PublishEvent) => {
      if (event.type === 'notice' && event.level === 'warning') told.push(event.message);
    };
    const target = `${registry.host}/acme/x`;
    const env = { HF_ENDPOINT: hub.url, HOME: tempDir(t) };
    await push({ model: model.name, target, backoffMs: 1, env, onEvent });
    assert.match(told[0] ?? '', /rate.*\(GET http.*\/tree\/.* answered 429\): retry 1 of 10 in 0\.\d s$/);
    assert.match(told[1] ?? '', /\(GET http.*manifests\/.* answered 503\): retry 1 of 10 in/);
  });
});
