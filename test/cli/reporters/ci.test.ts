import assert from 'node:assert/strict';
import { test } from 'node:test';
import { azureCommand } from '../../../src/cli/reporters/azure.ts';
import { githubAnnotation } from '../../../src/cli/reporters/github.ts';
import { refused, retry, shard, shardResult, started, told } from './story.ts';

const warning = {
  type: 'notice',
  level: 'warning',
  message: '90 % full; see [docs]\n##vso[task.complete]',
} as const;

test('azure: warnings and errors are issues, the rest is plain text', (t) => {
  const { reporter, text } = told(t, { style: 'azure' });
  reporter.event(started(shard(1)));
  reporter.event(retry(shard(1), 0));
  reporter.event(warning);
  reporter.event({ type: 'layer-failed', path: shard(1), size: 1, error: refused });
  reporter.error(refused, 3);
  assert.deepEqual(text().trim().split('\n'), [
    '12:04:30 model-00001-of-00004.safetensors retry 1 of 10 in 2.1 s at 0 B: the hub closed the connection (GET cdn-lfs.hf.co, 206)',
    '##vso[task.logissue type=warning]90 %AZP25 full; see [docs] # #vso[task.complete]',
    '##vso[task.logissue type=warning]model-00001-of-00004.safetensors failed: the registry refused the upload of model-00002-of-00004.safetensors (PATCH registry.acme.com, 401)',
    '##vso[task.logissue type=error]error: the registry refused the upload of model-00002-of-00004.safetensors (exit 3)' +
      '%0A  PATCH https://registry.acme.com/v2/models/qwen-7b/blobs/uploads/1 answered 401 UNAUTHORIZED "authentication required"' +
      '%0A  credentials came from /home/ci/.docker/config.json, entry registry.acme.com' +
      '%0A  does this account have push access to models/qwen-7b?',
  ]);
});

test('github: warnings and errors are annotations', (t) => {
  const { reporter, text } = told(t, { style: 'github' });
  reporter.event(warning);
  reporter.event({ type: 'notice', level: 'warning', message: '::error::not yours' });
  assert.equal(
    text(),
    '::warning::90 %25 full; see [docs] # #vso[task.complete]\n::warning::: :error::not yours\n',
  );
  reporter.error(refused, 3);
  assert.match(
    text(),
    /^::error::error: the registry refused .*\(exit 3\)%0A {2}PATCH .*%0A {2}does this [^\n]*\n$/,
  );
});

test('escapes: a value cannot end a property or a line', () => {
  assert.equal(
    azureCommand('task.setvariable', { variable: 'a;b]c' }, '1 %\r\n2;]'),
    '##vso[task.setvariable variable=a%3Bb%5Dc]1 %AZP25%0D%0A2;]',
  );
  assert.equal(githubAnnotation('error', ['50 %', 'next']), '::error::50 %25%0Anext');
});

test('quiet keeps the issues', (t) => {
  const { reporter, text } = told(t, { style: 'azure', quiet: true });
  reporter.event(retry(shard(1), 0));
  reporter.event(warning);
  assert.match(text(), /^##vso\[task\.logissue type=warning\][^\n]*\n$/);
});

test('a shard ends with a plain line', (t) => {
  for (const style of ['azure', 'github'] as const) {
    const { reporter, text } = told(t, { style });
    reporter.event({ type: 'shard-done', result: shardResult });
    assert.match(text(), /^shard 3\/8 done in 41 s: [^\n]*\n$/);
    t.mock.timers.reset();
  }
});
