import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { before, describe, type TestContext, test } from 'node:test';
import { type PublishEvent, type PushPlan, planPush } from '../../../src/index.ts';
import type { PushOptions } from '../../../src/publish/options.ts';
import type { Hub } from '../../support/hub.ts';
import { history } from '../../support/models.ts';
import { describeEachRegistry, kindsInShort } from '../../support/registries.ts';
import { inspectRegistry } from '../../support/registry-storage.ts';
import { runBoxcar, tempDir } from '../../support/run.ts';
import { freshPush, machine, mixedFiles, warningsOf } from './fresh-runner.ts';
import { fakeParties, realParties } from './parties.ts';

const model = history('acme/mixed', mixedFiles, [
  { rewrite: ['config.json'], rename: { 'extra.txt': 'more.txt' } },
]);
const [head, begin] = model.commits.map(({ id }) => id) as [string, string];
const older = `${model.name}@${begin}`;
const always = Number.POSITIVE_INFINITY;

async function planned(hub: Hub, target: string, options: Partial<PushOptions> = {}) {
  const events: PublishEvent[] = [];
  const env = machine(hub);
  const started = performance.now();
  const plan = await planPush({
    model: model.name,
    target,
    env,
    onEvent: (event) => events.push(event),
    ...options,
  });
  const seconds = (performance.now() - started) / 1000;
  assert.deepEqual(readdirSync(env.HOME), [], 'nothing is written');
  return { plan, seconds, warnings: warningsOf(events) };
}

function told({ layers }: PushPlan): Record<string, string> {
  return Object.fromEntries(layers.map(({ path, action, why }) => [path, `${action}: ${why}`]));
}

describeEachRegistry(
  'a plan',
  (kind) => {
    const parties = realParties(kind, { models: [model] });
    before(async () => {
      await freshPush(parties, older, 'models/planned');
    });

    test('says of every layer what would happen and why, and touches nothing', async () => {
      const from = parties.registry.requests.length;
      const { plan, warnings } = await planned(parties.hub, `${parties.registry.host}/models/planned`);
      const source = `:${begin.slice(0, 12)}`;
      const reuse = `reuse: unchanged since ${source}`;
      assert.deepEqual(told(plan), {
        'README.md': reuse,
        'config.json': `transfer: its content has changed since ${source}`,
        'empty.txt': reuse,
        'merges.txt': reuse,
        'model-1.safetensors': reuse,
        'model-2.safetensors': reuse,
        'more.txt': `transfer: the same content as extra.txt in ${source}, under another path: a layer of its own`,
        'small.bin': reuse,
      });
      assert.deepEqual([plan.reused, plan.mounted, plan.toTransfer, warnings], [6, 0, 2 * 2560, []]);
      assert.ok(parties.registry.requests.slice(from).every(({ method }) => method === 'GET'));
      assert.deepEqual(inspectRegistry(parties.real).uploads('models/planned'), []);
      assert.deepEqual(inspectRegistry(parties.real).tags('models/planned'), [begin.slice(0, 12)]);
    });

    test('of an image that is there, of one elsewhere, and of a tag that is taken', async () => {
      const same = await planned(parties.hub, `${parties.registry.host}/models/planned`, { model: older });
      assert.deepEqual([same.plan.reused, same.plan.toTransfer], [8, 0]);
      assert.equal(told(same.plan)['config.json'], `reuse: unchanged since :${begin.slice(0, 12)}`);
      const again = await planned(parties.hub, `${parties.registry.host}/models/planned`, {
        model: older,
        force: true,
      });
      assert.equal(again.plan.toTransfer, again.plan.size);
      const elsewhere = await planned(parties.hub, `${parties.registry.host}/models/new`, {
        mountFrom: ['models/planned'],
      });
      assert.deepEqual([elsewhere.plan.mounted, elsewhere.plan.toTransfer], [6, 2 * 2560]);
      assert.match(told(elsewhere.plan)['README.md'] ?? '', /^mount: the same layer in .*models\/planned:/);
      const taken = await planned(
        parties.hub,
        `${parties.registry.host}/models/planned:${begin.slice(0, 12)}`,
      );
      assert.match(taken.warnings[0] ?? '', /^the tag exists and points elsewhere: /);
      assert.equal(taken.plan.reused, 6);
    });

    test('boxcar plan and push --dry-run print it', async () => {
      const home = tempDir();
      const target = `${parties.registry.host}/models/planned`;
      for (const command of [
        ['plan', model.name, target, '--json'],
        ['push', model.name, target, '--json', '--dry-run'],
      ]) {
        const { code, stdout, stderr } = await runBoxcar(command, {
          env: { HF_ENDPOINT: parties.hub.url },
          home,
        });
        assert.equal(code, 0, stderr);
        assert.equal((JSON.parse(stdout) as PushPlan).reused, 6);
      }
      assert.ok(!existsSync(`${home}/.local`));
    });
  },
  kindsInShort,
);

describe('a plan for a registry that', () => {
  async function setUp(t: TestContext) {
    const { hub, registry } = await fakeParties(t, { models: [model] });
    return { hub, registry, target: `${registry.host}/acme/x` };
  }

  test('is down: as if nothing were there, within seconds', async (t) => {
    const { hub, registry, target } = await setUp(t);
    await registry.close();
    const { plan, seconds, warnings } = await planned(hub, target);
    assert.equal(plan.toTransfer, plan.size);
    assert.equal(
      warnings.at(-1)?.replace(/: .*;/, ': ...;'),
      'the target cannot be asked what is there: ...; planned as if nothing were',
    );
    assert.ok(seconds < 6, `${seconds} s`);
  });

  test('always answers 503: two attempts more, not ten', async (t) => {
    const { hub, registry, target } = await setUp(t);
    registry.faults.push({
      match: { path: /^\/v2\// },
      times: always,
      action: { kind: 'answer', status: 503 },
    });
    const { plan, seconds } = await planned(hub, target, { backoffMs: 1 });
    assert.equal(plan.toTransfer, plan.size);
    assert.equal(registry.requests.length, 3);
    assert.ok(seconds < 6, `${seconds} s`);
  });

  test('refuses to say: nothing is known, and it is said', async (t) => {
    const { hub, registry, target } = await setUp(t);
    registry.faults.push({
      match: { path: /manifests/ },
      times: always,
      action: { kind: 'answer', status: 403 },
    });
    const { plan, warnings } = await planned(hub, target);
    assert.deepEqual([plan.reused, warnings.length], [0, 1]);
  });

  test('has an image for which the commits cannot be had', async (t) => {
    const { hub, registry, target } = await setUp(t);
    await freshPush({ hub, registry }, older, 'acme/x');
    hub.faults.push({
      match: { path: /\/commits\// },
      times: always,
      action: { kind: 'status', status: 500 },
    });
    const { plan, warnings } = await planned(hub, target, { backoffMs: 1 });
    assert.deepEqual([plan.reused, warnings.length], [0, 1]);
    assert.equal(plan.layers[0]?.why, 'not published before');
    assert.equal(plan.commit, head);
  });
});
