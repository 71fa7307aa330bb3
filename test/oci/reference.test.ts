import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BoxcarError } from '../../src/errors.ts';
import {
  checkTag,
  isTag,
  parseImageReference,
  parseRepository,
  parseTarget,
} from '../../src/oci/reference.ts';

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

describe('an image to reuse from', () => {
  const target = parseTarget('r.io:5000/models/x:v1');
  const digest = `sha256:${'a'.repeat(64)}`;
  for (const [text, image] of [
    [':latest', { reference: 'latest' }],
    [`@${digest}`, { reference: digest }],
    ['r.io:5000/models/x:v0', { reference: 'v0' }],
    [`r.io:5000/models/x@${digest}`, { reference: digest }],
    ['https://r.io:5000/models/x:v0', { reference: 'v0' }],
    ['r.io:5000/models/other:v0', { repository: 'models/other', reference: 'v0' }],
    // The digest decides, as everywhere.
    [`r.io:5000/models/other:v0@${digest}`, { repository: 'models/other', reference: digest }],
  ] as const) {
    test(text, () => assert.deepEqual(parseImageReference(text, target), image));
  }

  for (const [text, why] of [
    ['', /it has no registry/],
    ['latest', /it has no registry/],
    [':', /not a tag/],
    [':a/b', /has neither a dot nor a port|is no host/],
    ['r.io:5000/models/x', /it has neither a tag nor a digest/],
    ['r.io/models/x:v0', /it is on another registry than the target \(r\.io:5000\)/],
    ['r.io:5000/models/x@sha256:abc', /is no digest/],
    [`r.io:5000/models/x@sha512:${'a'.repeat(128)}`, /is no digest/],
    [`r.io:5000/models/x@${digest.toUpperCase()}`, /is no digest/],
    [`r.io:5000/models/x@@${digest}`, /is no digest/],
    ['oci:out:v0', /layers are reused within one registry, or one directory/],
  ] as const) {
    test(`refused: ${JSON.stringify(text.slice(0, 60))}`, () => {
      assert.throws(
        () => parseImageReference(text, target),
        (error: BoxcarError) => error.code === 'usage' && why.test(error.message),
      );
    });
  }

  test('of an image layout: its own', () => {
    const layout = parseTarget('oci:out');
    assert.deepEqual(parseImageReference(':v0', layout), { reference: 'v0' });
    assert.deepEqual(parseImageReference('oci:out:v0', layout), { reference: 'v0' });
    for (const text of ['oci:other:v0', 'r.io/models/x:v0'])
      assert.throws(() => parseImageReference(text, layout), { code: 'usage' });
  });
});

test('a repository to mount from', () => {
  const target = parseTarget('r.io/models/x');
  assert.equal(parseRepository('models/y', target), 'models/y');
  assert.equal(parseRepository('r.io/models/y', target), 'models/y');
  for (const bad of ['', 'models/y:v1', 'Models/y', '../y', 'other.io:5000/y', 'y@sha256:a', 'y?from=z'])
    assert.throws(() => parseRepository(bad, target), { code: 'usage' }, bad);
  assert.throws(() => parseRepository('models/y', parseTarget('oci:out')), { code: 'usage' });
});
