import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type ContentId, contentHash, isContentId } from '../../src/digest/content-id.ts';

const anyGit: ContentId = `git:${'0'.repeat(40)}`;
const anySha256: ContentId = `sha256:${'0'.repeat(64)}`;
const noGit = spawnSync('git', ['--version']).error ? 'no git here: apt-get install git' : false;

async function idOf(kind: ContentId, pieces: Uint8Array[], size: number): Promise<ContentId> {
  const hash = await contentHash(kind, size);
  for (const piece of pieces) hash.update(piece);
  return hash.id();
}

test('git ids of nothing and of one byte', async () => {
  assert.equal(await idOf(anyGit, [], 0), 'git:e69de29bb2d1d6434b8b29ae775ad8c2e48c5391');
  assert.equal(await idOf(anyGit, [Buffer.from('x')], 1), 'git:c1b0730e0133447badcfd47fd144e254807b06e1');
});

test('git ids are those of git hash-object', { skip: noGit }, async () => {
  for (const size of [0, 1, 63, 64, 1000, 70_001]) {
    const input = randomBytes(size);
    const git = execFileSync('git', ['hash-object', '--stdin'], { input, encoding: 'utf8' }).trim();
    const half = size >> 1;
    assert.equal(await idOf(anyGit, [input.subarray(0, half), input.subarray(half)], size), `git:${git}`);
  }
});

test('a git id is bound to the size that was listed', async () => {
  const listed = await idOf(anyGit, [Buffer.from('abc')], 3);
  assert.notEqual(await idOf(anyGit, [Buffer.from('abc')], 4), listed);
});

test('an LFS id is the SHA-256 of the bytes alone', async () => {
  const input = randomBytes(1000);
  const digest = createHash('sha256').update(input).digest('hex');
  assert.equal(await idOf(anySha256, [input.subarray(0, 7), input.subarray(7)], 1000), `sha256:${digest}`);
});

test('a SHA-256 can be saved and gone on with, a git id cannot', async () => {
  const input = randomBytes(1000);
  const first = await contentHash(anySha256, 1000);
  first.update(input.subarray(0, 640));
  const second = await contentHash(anySha256, 1000, first.save());
  second.update(input.subarray(640));
  assert.equal(second.id(), `sha256:${createHash('sha256').update(input).digest('hex')}`);
  assert.equal((await contentHash(anyGit, 1000)).save(), undefined);
});

test('isContentId takes the two forms and nothing near them', () => {
  const [sha1, sha256] = ['a1'.repeat(20), 'b2'.repeat(32)];
  for (const good of [`git:${sha1}`, `sha256:${sha256}`]) assert.ok(isContentId(good), good);
  for (const bad of [
    '',
    sha1,
    sha256,
    `git:${sha256}`,
    `sha256:${sha1}`,
    `sha1:${sha1}`,
    `git:${sha1.toUpperCase()}`,
    `sha256:${sha256}\n`,
    ` git:${sha1}`,
    `git:${sha1}0`,
    `git:undefined`,
  ]) {
    assert.ok(!isContentId(bad), JSON.stringify(bad));
  }
});
