import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpResponse } from '../../src/http/client.ts';
import { redirectTarget } from '../../src/http/redirect.ts';

function target(status: number, location: string | string[] | undefined, from: string): string | undefined {
  const answer = { status, headers: { location } } as unknown as HttpResponse;
  return redirectTarget(answer, new URL(from))?.href;
}

test('absolute, relative, and relative to the host', () => {
  const from = 'https://hub.example/a/b?c=d';
  for (const [location, expected] of [
    ['https://cdn.example/x?sig=1', 'https://cdn.example/x?sig=1'],
    ['/x/y', 'https://hub.example/x/y'],
    ['x', 'https://hub.example/a/x'],
    ['?e=f', 'https://hub.example/a/b?e=f'],
    ['//cdn.example/x', 'https://cdn.example/x'],
  ] as const) {
    assert.equal(target(302, location, from), expected);
  }
});

test('of every redirect and of nothing else', () => {
  for (const status of [301, 302, 303, 307, 308])
    assert.equal(target(status, '/x', 'http://h/'), 'http://h/x');
  for (const status of [200, 206, 300, 304, 305, 401, 404]) {
    assert.equal(target(status, '/x', 'http://h/'), undefined);
  }
});

test('never out of TLS, and never to what is not HTTP', () => {
  assert.equal(target(302, 'http://cdn.example/x', 'https://hub.example/'), undefined);
  assert.equal(target(302, 'https://cdn.example/x', 'http://hub.example/'), 'https://cdn.example/x');
  assert.equal(target(302, 'file:///etc/passwd', 'http://hub.example/'), undefined);
  assert.equal(target(302, 'https://[bad', 'https://hub.example/'), undefined);
});

test('the first of several', () => {
  assert.equal(target(302, ['/x', '/y'], 'http://h/'), 'http://h/x');
});

test('a redirect that names no place is followed nowhere', () => {
  assert.equal(target(302, undefined, 'http://h/a'), undefined);
  assert.equal(target(302, '', 'http://h/a'), undefined);
});
