import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { tempDir } from './support/temp-dir.ts';

const run = promisify(execFile);
const checkout = join(import.meta.dirname, '..');
const bin = (name: string) => join(checkout, 'node_modules/.bin', name);

describe('the package', () => {
  const consumer = tempDir();
  const installed = join(consumer, 'node_modules/boxcar');

  before(async () => {
    // As `npm publish` would: built, packed, and unpacked where a consumer has it, with the dependencies of this checkout.
    await run('npm', ['pack', '--silent', '--pack-destination', consumer], { cwd: checkout });
    const [tarball = ''] = readdirSync(consumer).filter((name) => name.endsWith('.tgz'));
    await run('tar', ['-xzf', tarball], { cwd: consumer });
    mkdirSync(join(consumer, 'node_modules'));
    renameSync(join(consumer, 'package'), installed);
    symlinkSync(join(checkout, 'node_modules'), join(installed, 'node_modules'));
    writeFileSync(join(consumer, 'package.json'), '{"type":"module"}');
  });

  test('publint and attw find nothing', async () => {
    await run(bin('publint'), ['--strict', installed]);
    const [tarball = ''] = readdirSync(consumer).filter((name) => name.endsWith('.tgz'));
    await run(bin('attw'), [join(consumer, tarball), '--profile', 'esm-only', '--format', 'ascii']);
  });

  test('holds what runs, and nothing else', () => {
    const top = readdirSync(installed).filter((name) => name !== 'node_modules');
    assert.deepEqual(top.sort(), [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'dist',
      'package.json',
      'state-schema',
    ]);
  });

  test('a program in JavaScript pushes with it', async () => {
    const program = `
      import { BoxcarError, push } from 'boxcar';
      const error = await push({ model: 'a/b/c', target: 'oci:x' }).catch((thrown) => thrown);
      console.log(error instanceof BoxcarError, error.code, error.exitCode);`;
    writeFileSync(join(consumer, 'program.js'), program);
    const { stdout } = await run(process.execPath, ['program.js'], { cwd: consumer });
    assert.equal(stdout, 'true usage 2\n');
  });

  test('a program in TypeScript has its types', async () => {
    const program = `
      import { type PublishEvent, type PublishResult, push, type PushOptions } from 'boxcar';
      const paths: string[] = [];
      const onEvent = (event: PublishEvent) => {
        if (event.type === 'layer-done') paths.push(event.result.path);
      };
      const options: PushOptions = { model: 'org/name', target: 'oci:x', signal: new AbortController().signal, onEvent };
      export const digest = (): Promise<string> => push(options).then((result: PublishResult) => result.manifestDigest);
      // @ts-expect-error: there is no such upload.
      export const wrong: PushOptions = { model: 'org/name', target: 'oci:x', upload: 'magic' };`;
    writeFileSync(join(consumer, 'program.ts'), program);
    const types = join(checkout, 'node_modules/@types');
    const options = ['--strict', '--noEmit', '--module', 'nodenext', '--typeRoots', types, '--types', 'node'];
    await run(bin('tsc'), [...options, 'program.ts'], { cwd: consumer });
  });

  test('its command runs', async () => {
    const { stdout } = await run(process.execPath, [join(installed, 'dist/cli/main.js'), '--version']);
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  });
});
