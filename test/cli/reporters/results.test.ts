import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { failureSummary, jobSummary } from '../../../src/cli/reporters/job-summary.ts';
import {
  azureVariables,
  failureJson,
  githubOutputs,
  resultJson,
  resultLines,
  shardLines,
  writeFailureSummary,
  writeResult,
} from '../../../src/cli/reporters/results.ts';
import type { PublishEvent } from '../../../src/publish/events.ts';
import { digest, refused, result, shardResult } from './story.ts';

const lines = `IMAGEREF=registry.acme.com/models/qwen-7b:a09a35458c70
IMAGEREFDIGEST=registry.acme.com/models/qwen-7b@${digest}
MANIFESTDIGEST=${digest}
`;

function stdout() {
  const written: string[] = [];
  return { write: (text: string) => written.push(text), text: () => written.join('') };
}

test('three lines, whatever a directory is called', () => {
  assert.equal(resultLines(result), lines);
  const odd = resultLines({ ...result, imageRef: 'oci:a\nMANIFESTDIGEST=sha256:0\r:tag' });
  assert.equal(odd.split('\n').length, 4);
  assert.equal(githubOutputs({ ...result, imageRef: 'oci:a\nb=c' }).split('\n').length, 4);
});

test('--json after a success and after a failure', () => {
  assert.deepEqual(JSON.parse(resultJson(result)), result);
  assert.equal(resultJson(result).trimEnd().includes('\n'), false);
  const failure = JSON.parse(failureJson(refused, 3, { model: 'a/b', commit: 'c' }));
  assert.deepEqual(failure, {
    error: {
      code: 'unauthorized',
      side: 'registry',
      message: refused.message,
      hint: refused.hint,
      request: { ...refused.request },
      exitCode: 3,
    },
    model: 'a/b',
    commit: 'c',
  });
});

test('azure gets each variable for this job and for others', () => {
  assert.equal(
    azureVariables(result),
    `##vso[task.setvariable variable=imageRef]${result.imageRef}
##vso[task.setvariable variable=imageRef;isOutput=true]${result.imageRef}
##vso[task.setvariable variable=imageRefDigest]${result.imageRefDigest}
##vso[task.setvariable variable=imageRefDigest;isOutput=true]${result.imageRefDigest}
##vso[task.setvariable variable=manifestDigest]${digest}
##vso[task.setvariable variable=manifestDigest;isOutput=true]${digest}
`,
  );
});

test('stdout ends with the three lines; only azure has its variables before them', async () => {
  for (const style of ['tty', 'text', 'github', 'json'] as const) {
    const out = stdout();
    await writeResult(result, { json: false, style, stdout: out, env: {} });
    assert.equal(out.text(), lines);
  }
  const azure = stdout();
  await writeResult(result, { json: false, style: 'azure', stdout: azure, env: {} });
  assert.equal(azure.text(), azureVariables(result) + lines);
  const json = stdout();
  await writeResult(result, { json: true, style: 'azure', stdout: json, env: {} });
  assert.equal(json.text(), resultJson(result));
});

async function tempDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'boxcar-results-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

test('a shard has one line, and no variables or outputs of an image', async (t) => {
  assert.equal(shardLines({ shard: '3/8' }), 'SHARD=3/8\n');
  const env = { GITHUB_OUTPUT: join(await tempDirectory(t), 'no', 'file') };
  for (const style of ['tty', 'text', 'azure', 'github', 'json'] as const) {
    const out = stdout();
    await writeResult(shardResult, { json: false, style, stdout: out, env });
    assert.equal(out.text(), 'SHARD=3/8\n');
  }
  const out = stdout();
  await writeResult(shardResult, { json: true, style: 'text', stdout: out, env });
  assert.deepEqual(JSON.parse(out.text()), shardResult);
});

test('$GITHUB_STEP_SUMMARY is appended to, apart from what others write', async (t) => {
  const file = join(await tempDirectory(t), 'summary');
  await writeFile(file, '<div>');
  const env = { GITHUB_STEP_SUMMARY: file };
  for (const one of [result, shardResult])
    await writeResult(one, { json: false, style: 'github', stdout: stdout(), env });
  await writeFailureSummary(refused, 3, { model: 'a/b' }, { env });
  const [first, second] = [jobSummary(result), jobSummary(shardResult)];
  const failed = failureSummary(refused, 3, { model: 'a/b' });
  // The first one after a line that has no end begins on a line of its own all the same.
  assert.equal(await readFile(file, 'utf8'), `<div>\n\n${first}\n\n\n${second}\n\n\n${failed}\n`);
});

test('a job summary that cannot be written is a warning: the result is there all the same', async (t) => {
  const directory = await tempDirectory(t);
  const env = {
    GITHUB_STEP_SUMMARY: join(directory, 'no', 'file'),
    GITHUB_OUTPUT: join(directory, 'output'),
  };
  const events: PublishEvent[] = [];
  const reporter = { event: (event: PublishEvent) => events.push(event) };
  const out = stdout();
  await writeResult(result, { json: false, style: 'text', stdout: out, env, reporter });
  await writeFailureSummary(refused, 3, {}, { env, reporter });
  assert.equal(out.text(), lines);
  assert.equal(await readFile(env.GITHUB_OUTPUT, 'utf8'), githubOutputs(result));
  assert.equal(events.length, 2);
  for (const event of events) {
    assert.ok(event.type === 'notice' && event.level === 'warning');
    assert.match(event.message, /^the job summary \(\$GITHUB_STEP_SUMMARY\) cannot be written: ENOENT/);
  }
});

test('$GITHUB_OUTPUT is appended to', async (t) => {
  const directory = await tempDirectory(t);
  const file = join(directory, 'output');
  await writeFile(file, 'before=1\n');
  await writeResult(result, { json: true, style: 'text', stdout: stdout(), env: { GITHUB_OUTPUT: file } });
  assert.equal(
    await readFile(file, 'utf8'),
    `before=1\nimage-ref=${result.imageRef}\nimage-ref-digest=${result.imageRefDigest}\nmanifest-digest=${digest}\n`,
  );
  const out = stdout();
  const nowhere = {
    json: false,
    style: 'text',
    stdout: out,
    env: { GITHUB_OUTPUT: join(directory, 'no', 'file') },
  } as const;
  await assert.rejects(writeResult(result, nowhere), { name: 'BoxcarError', code: 'unexpected' });
  assert.equal(out.text(), '');
});
