import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planModelcar } from '../../src/formats/modelcar.ts';
import { checkPaths, pathFault } from '../../src/formats/paths.ts';
import { defaults, file, snapshotOf } from './snapshots.ts';

test('ordinary paths pass, odd ones too', () => {
  checkPaths([
    'a',
    'a.b',
    'b/a',
    '...',
    '..a',
    'b/..c',
    ' ',
    'a\nb',
    'Größe/№ 1',
    'a\\..\\b',
    '~',
    '-rf',
    'wh.x',
  ]);
});

const refused: [paths: string[], why: RegExp][] = [
  [['..'], /leaves its directory/],
  [['../a'], /leaves its directory/],
  [['a/../../b'], /leaves its directory/],
  [['a/..'], /leaves its directory/],
  [['/etc/passwd'], /is absolute/],
  [['a\0b'], /holds a NUL/],
  [[''], /is empty/],
  [['a//b'], /empty segment/],
  [['a/'], /empty segment/],
  [['./a'], /single dot/],
  [['a/./b'], /single dot/],
  [['a', 'b', 'a'], /is listed twice/],
  [['a', 'a/b'], /as a file and as a directory/],
  [['a/b/c', 'a/b'], /as a file and as a directory/],
  // A layer's `.wh.x` removes `x` of the layers below (image-spec, layer.md), and is not there itself.
  [['.wh.config.json'], /whiteout/],
  [['a/.wh..wh..opq'], /whiteout/],
  [['a/.wh.b/c'], /whiteout/],
  [['x'.repeat(256)], /more than 255 bytes/],
  [['ü'.repeat(128)], /more than 255 bytes/],
  [[`${'x/'.repeat(33)}x`], /more than 32 directories deep/],
  [['x/'.repeat(500_000)], /more than 3072 characters/],
  // As UTF-8 both are the replacement character: one file.
  [['a\ud800'], /Unicode/],
];

for (const [paths, why] of refused) {
  test(`refused: ${JSON.stringify(paths)}`, async () => {
    assert.throws(
      () => checkPaths(['x', ...paths]),
      (error: Error & { code?: string; exitCode?: number }) =>
        error.code === 'content-mismatch' && error.exitCode === 9 && why.test(error.message),
    );
    await assert.rejects(planModelcar(snapshotOf(paths.map((path) => file(path))), defaults));
  });
}

test('the message shows a path that cannot harm a terminal', () => {
  assert.throws(() => checkPaths(['../\x1b[2J']), { message: /: "\.\.\/ \[2J"$/ });
});

test('pathFault tells of one path', () => {
  assert.equal(pathFault('a/b'), undefined);
  assert.equal(pathFault('/a'), 'is absolute');
});

test('more files than any manifest can name are a matter of options', () => {
  const paths = Array.from({ length: 20_001 }, (_, i) => `${i}`);
  assert.throws(() => checkPaths(paths), { code: 'usage', hint: /--include/ });
});

test('many paths are checked in a moment', () => {
  const started = process.cpuUsage();
  checkPaths(Array.from({ length: 20_000 }, (_, i) => `a/b/c/d/e/f/${i}`));
  assert.ok(process.cpuUsage(started).user < 2_000_000);
});
