import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReporter, logStyles } from '../../../src/cli/reporters/reporter.ts';
import { removeStates } from '../../../src/index.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { type Interrupted, layerOf, startInterrupted } from './interrupted.ts';

const passphrase = 'correct horse battery staple';
const offset = (s: Interrupted) => s.state('v1.partial').layers['models/b.safetensors']?.upload;

/** Nothing of any upload's Location, nor the passphrase, is in what the registry stores or in any log. */
function assertDiscreet({ registry, events }: Interrupted): void {
  const secrets = registry.requests
    .filter(({ path }) => /\/(put|blobs\/uploads)\/./.test(path))
    .flatMap(({ url }) => [url.split('?')[1], url.split('?')[0]?.split('/').at(-1)])
    .filter((each) => each !== undefined && each.length > 8) as string[];
  assert.ok(secrets.length > 0);
  const stored = [...registry.blobs.values(), ...[...registry.manifests.values()].map(({ bytes }) => bytes)];
  const texts = stored.filter(({ length }) => length < 500_000).map(String);
  for (const style of logStyles) {
    let text = '';
    const stderr = {
      write: (chunk: string) => (text += chunk),
      isTTY: false,
      columns: 80,
      on() {},
      off() {},
    };
    const reporter = createReporter({ style, quiet: false, verbose: true, stderr: stderr as never, env: {} });
    for (const event of events) reporter.event(event);
    reporter.close();
    texts.push(text);
  }
  for (const secret of [...secrets, passphrase])
    for (const text of texts) assert.ok(!text.includes(secret), `${secret} in ${text.slice(0, 2000)}`);
}

for (const locations of ['elsewhere', 'absolute'] as const) {
  const where = locations === 'elsewhere' ? 'on another origin' : 'with a query of any kind';

  for (const BOXCAR_STATE_KEY of [undefined, ''])
    test(`Locations ${where} are left out without a key (${BOXCAR_STATE_KEY ?? 'none'})`, async (t) => {
      const env = BOXCAR_STATE_KEY === undefined ? {} : { BOXCAR_STATE_KEY };
      const s = await startInterrupted(t, 'distribution3', { locations }, env as Record<string, string>);
      await s.fail();
      assert.equal(offset(s), undefined);
      assert.equal(s.warnings.filter((each) => each.includes('BOXCAR_STATE_KEY')).length, 1);
      assertDiscreet(s);
      const result = await s.push();
      assert.equal(layerOf(result, 'a.safetensors').outcome, 'reused');
      assert.equal(layerOf(result, 'b.safetensors').outcome, 'transferred');
    });

  test(`Locations ${where} are sealed with a key: another machine goes on with it`, async (t) => {
    const s = await startInterrupted(t, 'distribution3', { locations }, { BOXCAR_STATE_KEY: passphrase });
    await s.fail();
    assert.match(offset(s)?.location ?? '', /^sealed:1:/);
    assertDiscreet(s);
    const result = await s.push();
    assert.equal(layerOf(result, 'b.safetensors').outcome, 'resumed');
    assert.deepEqual(s.warnings, []);
    assertDiscreet(s);
  });
}

test('with another key, or an altered text, the layer starts anew, and that is said', async (t) => {
  const s = await startInterrupted(t, 'distribution3', {}, { BOXCAR_STATE_KEY: passphrase });
  await s.fail();
  const env = { HOME: tempDir(t), HF_ENDPOINT: s.hub.url, BOXCAR_STATE_KEY: 'another' };
  const result = await s.push({ env });
  assert.equal(layerOf(result, 'b.safetensors').outcome, 'transferred');
  assert.match(s.warnings.join(), /cannot be gone on with: another BOXCAR_STATE_KEY/);
});

test('abort cancels sealed sessions where it has the key, and says where it has not', async (t) => {
  const s = await startInterrupted(t, 'distribution3', {}, { BOXCAR_STATE_KEY: passphrase });
  for (const [key, sessions] of [
    [undefined, [0, 1]],
    [passphrase, [1, 0]],
  ] as const) {
    await s.fail();
    const before = s.registry.uploads().length;
    const env = { HOME: tempDir(t), ...(key === undefined ? {} : { BOXCAR_STATE_KEY: key }) };
    const [removed] = await removeStates({ what: s.target, env });
    assert.deepEqual([removed?.cancelled, removed?.uncancelled], sessions);
    assert.equal(s.registry.uploads().length, before - sessions[0]);
    assert.deepEqual(s.stateTags(), []);
  }
});
