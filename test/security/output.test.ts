import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { renderPlan } from '../../src/cli/reporters/plan.ts';
import { createReporter, type LogStyle, logStyles } from '../../src/cli/reporters/reporter.ts';
import { failureJson, resultJson, writeResult } from '../../src/cli/reporters/results.ts';
import { asBoxcarError } from '../../src/errors.ts';
import type { PublishEvent, PublishResult } from '../../src/publish/events.ts';
import { planPush, push } from '../../src/publish/push.ts';
import { startFakeRegistry } from '../support/fake-registry.ts';
import { startHub } from '../support/hub.ts';
import { oneCommit } from '../support/models.ts';
import { tempDir } from '../support/temp-dir.ts';

/** What a terminal or a CI system would act on, with a word that shows where it got to. */
const attacks = [
  '\x1b[2J\x1b]0;OWNED\x07',
  '\x9b31mOWNED',
  '\u202EOWNED\u2066',
  'x\n::error::OWNED',
  '::set-output name=image-ref::OWNED',
  ' ::add-mask::OWNED',
  'x\r\n##vso[task.setvariable variable=PATH]OWNED',
  '##[error]OWNED',
  '##VSO[task.complete]OWNED',
  '#\u200b#vso[task.complete]OWNED',
  'x\u2028::warning::OWNED',
  'image-ref=OWNED\nimage-ref-digest=OWNED',
  '\x00\b\b\bOWNED',
];

/** What our own output may hold of that: the colours and movements of the bars, and CI commands that we say ourselves. */
function assertHarmless(text: string, where: string, own: RegExp = /^$/): void {
  assert.ok(text.includes('OWNED'), `${where} says nothing of it`);
  for (const line of text.split('\n')) {
    const shown = `${where}: ${JSON.stringify(line.slice(0, 300))}`;
    assert.doesNotMatch(line, /[\p{Cf}\u2028\u2029\x80-\x9f]/u, shown);
    assert.doesNotMatch(line.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, ''), /[\x00-\x1f]/, shown);
    assert.doesNotMatch(line, /\x1b\]|\x1b\[2J|\x1b\[31m/, shown);
    if (own.test(line)) continue;
    assert.doesNotMatch(line.trimStart(), /^::/, shown);
    assert.doesNotMatch(line, /##\[|##vso\[/i, shown);
  }
}

const ownCommand: Partial<Record<LogStyle, RegExp>> = {
  github: /^::(error|warning)::(?!.*::error::OWNED$)/,
  azure: /^##vso\[task\.logissue type=(error|warning)\](?!.*##vso)/i,
};

function told(style: LogStyle, events: PublishEvent[], error: unknown): string {
  let text = '';
  const stderr = { isTTY: style === 'tty', columns: 500, rows: 60, write: (more: string) => (text += more) };
  const reporter = createReporter({ style, quiet: false, verbose: true, stderr, env: {} });
  for (const event of events) reporter.event(event);
  if (error) reporter.error(asBoxcarError(error), 1);
  reporter.close();
  return text;
}

async function run(t: TestContext, prepare: (servers: Servers) => void) {
  const names = attacks.filter((name) => !name.includes('\0')).map((name, i) => [`${name}${i}`, name]);
  const hub = await startHub({
    models: [{ ...oneCommit('acme/x', Object.fromEntries(names)), cardData: { license: attacks.join('') } }],
  });
  const registry = await startFakeRegistry('distribution3');
  t.after(() => Promise.all([hub.close(), registry.close()]));
  prepare({ hub, registry });
  const events: PublishEvent[] = [];
  const options = {
    model: 'acme/x',
    target: `http://${registry.host}/acme/x:v1`,
    env: { HOME: tempDir(t), HF_ENDPOINT: hub.url },
    hfMaxRetries: 1,
    ociMaxRetries: 1,
    backoffMs: 1,
    failFast: false,
    onEvent: (event: PublishEvent) => void events.push(event),
  };
  let result: PublishResult | undefined;
  let error: unknown;
  try {
    result = await push(options);
  } catch (thrown) {
    error = thrown;
  }
  return { events, result, error, options };
}

interface Servers {
  hub: Awaited<ReturnType<typeof startHub>>;
  registry: Awaited<ReturnType<typeof startFakeRegistry>>;
}

test('file names that forge: a push that ends well', async (t) => {
  const { events, result, error, options } = await run(t, () => {});
  assert.ok(result, String(error));
  for (const style of logStyles) assertHarmless(told(style, events, undefined), style);
  assertHarmless(resultJson(result), '--json');
  assert.deepEqual(
    JSON.parse(resultJson(result)).layers.map(({ path }: { path: string }) => path).length,
    12,
  );

  const plan = await planPush(options);
  const planned = events.find((event) => event.type === 'planned');
  const resolved = events.find((event) => event.type === 'resolved');
  assert.ok(planned && resolved && plan.layers.length === 12);
  assertHarmless(renderPlan(planned, resolved), '--dry-run');

  const outputs = join(tempDir(t), 'outputs');
  for (const style of ['github', 'azure'] as const) {
    let stdout = '';
    const to = {
      json: false,
      style,
      stdout: { write: (text: string) => (stdout += text) },
      env: { GITHUB_OUTPUT: outputs },
    };
    await writeResult(result, to);
    assert.ok(!stdout.includes('OWNED'));
  }
  const lines = readFileSync(outputs, 'utf8').trim().split('\n');
  assert.deepEqual(
    lines.map((line) => line.split('=')[0]),
    [
      ...['image-ref', 'image-ref-digest', 'manifest-digest'],
      ...['image-ref', 'image-ref-digest', 'manifest-digest'],
    ],
  );
});

for (const [side, match] of [
  ['registry', { method: 'POST' }],
  ['hub', { path: /\/resolve\// }],
] as const) {
  test(`words of the ${side} that forge, in retries and in the error`, async (t) => {
    for (const attack of attacks) {
      const { events, error } = await run(t, ({ hub, registry }) => {
        const body = JSON.stringify({ errors: [{ code: attack, message: attack }], error: attack });
        if (side === 'registry')
          registry.faults.push({ match, times: Infinity, action: { kind: 'answer', status: 503, body } });
        else hub.faults.push({ match, times: Infinity, action: { kind: 'status', status: 503, body } });
      });
      for (const style of logStyles) {
        const text = told(style, events, error);
        assert.match(text, /503/);
        assertHarmless(text, style, ownCommand[style]);
      }
      assertHarmless(failureJson(asBoxcarError(error), 6), '--json');
    }
  });
}
