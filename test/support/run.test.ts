import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startCommandLine } from './command-line.ts';
import { runScript, tempDir } from './run.ts';

function script(t: { after(cleanup: () => void): void }, source: string): string {
  const file = join(tempDir(t), 'script.ts');
  writeFileSync(file, source);
  return file;
}

test('a program sees only the environment it is given', async (t) => {
  process.env.HF_TOKEN = 'hf_the_developers';
  t.after(() => delete process.env.HF_TOKEN);
  const file = script(t, 'console.log(JSON.stringify({ args: process.argv.slice(2), env: process.env }));');
  const { code, stdout } = await runScript(file, ['--a', 'b'], { env: { GIVEN: '1' } });
  const { args, env } = JSON.parse(stdout);
  assert.deepEqual([code, args, env.GIVEN, env.HF_TOKEN], [0, ['--a', 'b'], '1', undefined]);
  assert.ok(env.HOME !== process.env.HOME && env.XDG_STATE_HOME.startsWith(env.HOME));
});

test('a program gets its signal when it has said something', async (t) => {
  const file = script(
    t,
    `process.on('SIGINT', () => { console.error('bye'); process.exit(130); });
     setInterval(() => {}, 1000); console.error('ready');`,
  );
  const result = await runScript(file, [], {
    signalAfter: async (program) => {
      await program.said(/ready/);
      program.kill('SIGINT');
    },
  });
  assert.deepEqual([result.code, result.signal, result.stderr], [130, null, 'ready\nbye\n']);
});

test('a program that does not end is killed, and what it said is told', async (t) => {
  const file = script(t, `console.log('waiting'); setInterval(() => {}, 1000);`);
  await assert.rejects(runScript(file, [], { timeoutMs: 300 }), /still ran after 300 ms/);
});

test('a temporary directory is gone after its test', async (t) => {
  let folder = '';
  await t.test('inner', (inner) => {
    folder = tempDir(inner);
    assert.ok(existsSync(folder));
  });
  assert.ok(!existsSync(folder));
});

test('a command line: to each command its own environment, directory and words', async (t) => {
  const boxcar = startCommandLine();
  const home = tempDir(t);
  writeFileSync(join(home, 'state.json'), '{}');
  const named = await boxcar.run(['push'], { env: { HF_REPO: 'a/b/c', TARGET_REPO: 'oci:x' } });
  const unnamed = await boxcar.run(['push']);
  const damaged = await boxcar.run(['abort', 'state.json'], { home });
  assert.deepEqual([named.code, unnamed.code, damaged.code], [2, 2, 2]);
  assert.match(named.stderr, /^error: not a model: "a\/b\/c"/);
  assert.match(unnamed.stderr, /^error: <model> is missing/);
  assert.match(damaged.stderr, /state\.json is damaged/);
  const { stdout, stderr } = await boxcar.run(['--version']);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  assert.equal(stderr, '');
  await boxcar.close();
});
