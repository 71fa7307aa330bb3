import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BoxcarError } from '../../src/errors.ts';
import { checkTag, isTag, parseTarget } from '../../src/oci/reference.ts';

function refused(text: string, why?: RegExp): void {
  assert.throws(
    () => parseTarget(text),
    (error: BoxcarError) => {
      assert.equal(error.code, 'usage', error.stack);
      assert.ok(error.hint);
      assert.match(error.message, why ?? /./);
      return true;
    },
    text,
  );
}

describe('a repository of a registry', () => {
  const registry = (registry: string, repository: string, more = {}) => ({
    kind: 'registry',
    registry,
    repository,
    ...more,
  });

  for (const [text, expected] of [
    ['ghcr.io/acme/llm', registry('ghcr.io', 'acme/llm')],
    ['ghcr.io/acme/llm:v1', registry('ghcr.io', 'acme/llm', { tag: 'v1' })],
    ['localhost/llm', registry('localhost', 'llm')],
    ['localhost:5000/llm', registry('localhost:5000', 'llm')],
    ['localhost:5000/llm:v1', registry('localhost:5000', 'llm', { tag: 'v1' })],
    ['registry:5000/a/b/c:d', registry('registry:5000', 'a/b/c', { tag: 'd' })],
    ['127.0.0.1:65535/a', registry('127.0.0.1:65535', 'a')],
    ['[::1]/a', registry('[::1]', 'a')],
    ['[2001:db8::1]:5000/a/b:c', registry('[2001:db8::1]:5000', 'a/b', { tag: 'c' })],
    ['Registry.Example.COM/a', registry('Registry.Example.COM', 'a')],
    ['r.io/a.b/c_d/e__f/g-h/i--j', registry('r.io', 'a.b/c_d/e__f/g-h/i--j')],
    ['r.io/0', registry('r.io', '0')],
    ['r.io/a/', registry('r.io', 'a')],
    ['https://r.io/a:b', registry('r.io', 'a', { tag: 'b', scheme: 'https' })],
    ['http://localhost:5000/a', registry('localhost:5000', 'a', { scheme: 'http' })],
    [`r.io/a:${'t'.repeat(128)}`, registry('r.io', 'a', { tag: 't'.repeat(128) })],
  ] as const) {
    test(text.slice(0, 60), () => assert.deepEqual(parseTarget(text), expected));
  }

  for (const [text, why] of [
    ['', /it has no registry/],
    ['llm', /it has no registry/],
    ['llm:v1', /it has no registry/],
    ['acme/llm', /must be named/],
    ['/llm', /is no host/],
    ['r.io/', /the repository ""/],
    ['r.io/:v1', /the repository ""/],
    ['r.io//a', /the repository "\/a"/],
    ['r.io/a//b', /the repository/],
    ['r.io/Acme/llm', /lower-case/],
    ['r.io/a_', /the repository/],
    ['r.io/a___b', /the repository/],
    ['r.io/a..b', /the repository/],
    ['r.io/../a', /the repository/],
    ['r.io/a b', /the repository/],
    ['r.io/a?b', /the repository/],
    ['r.io/a:', /not a tag: ""/],
    ['r.io/a:-b', /not a tag/],
    ['r.io/a:b:c', /the repository "a:b"/],
    [`r.io/a:${'t'.repeat(129)}`, /not a tag/],
    [`r.io/a@sha256:${'a'.repeat(64)}`, /a digest cannot be pushed to/],
    [`r.io/a:b@sha256:${'a'.repeat(64)}`, /a digest cannot be pushed to/],
    ['user:secret@r.io/a', /is no host/],
    ['-r.io/a', /is no host/],
    ['r.io:/a', /is no host/],
    ['r.io:port/a', /is no host/],
    ['r.io:99999/a', /is no host/],
    ['[::1/a', /is no host/],
    ['[:::]/a', /is no host/],
    ['ftp://r.io/a', /is no host/],
    ['docker://r.io/a', /is no host/],
    ['https://', /./],
    ['r.io/a\n', /the repository/],
  ] as const) {
    test(`refused: ${JSON.stringify(text.slice(0, 60))}`, () => refused(text, why));
  }
});

describe('an image layout', () => {
  for (const [text, directory, tag] of [
    ['oci:out', 'out', undefined],
    ['oci:out:v1', 'out', 'v1'],
    ['oci:/srv/out:v1', '/srv/out', 'v1'],
    ['oci:./out', './out', undefined],
    ['oci:/a:b/c', '/a:b/c', undefined],
    ['oci:/a:b/c:v1', '/a:b/c', 'v1'],
    ['oci:a:b:c', 'a:b', 'c'],
    ['oci:C:\\models', 'C:\\models', undefined],
    ['oci:C:\\models:v1', 'C:\\models', 'v1'],
    ['oci:with space', 'with space', undefined],
    ['oci:.', '.', undefined],
  ] as const) {
    test(text, () => {
      assert.deepEqual(parseTarget(text), { kind: 'layout', directory, ...(tag ? { tag } : {}) });
    });
  }

  for (const [text, why] of [
    ['oci:', /it has no directory/],
    ['oci:out:a b', /not a tag/],
    ['oci:out:-x', /not a tag/],
    ['oci:out:..', /not a tag/],
    // A script whose variable is empty.
    ['oci:out:', /not a tag/],
    ['oci::v1', /it has no directory/],
  ] as const) {
    test(`refused: ${text}`, () => refused(text, why));
  }
});

test('tags', () => {
  for (const good of ['a', '_', 'A.b-c_d', '0', 'latest', 'x'.repeat(128)]) {
    assert.ok(isTag(good), good);
    assert.equal(checkTag(good), good);
  }
  for (const bad of ['', '.', '-a', '.a', 'a/b', 'a:b', 'a b', 'é', 'a\n', 'x'.repeat(129)]) {
    assert.ok(!isTag(bad), JSON.stringify(bad));
    assert.throws(() => checkTag(bad), { code: 'usage' });
  }
});
