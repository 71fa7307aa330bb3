import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseAnswerHead, requestHead } from '../../src/http/message-head.ts';

describe('a request', () => {
  const linesOf = (url: string, headers: Record<string, string> = {}) =>
    requestHead(new URL(url), headers)?.split('\r\n');

  test('has its path and query as they are, host and port, no login and no fragment', () => {
    assert.deepEqual(
      linesOf('https://user:password@Acme.com:8443/a%20b/ü?x=1&y=%0d%0a#part', { range: 'r' }),
      [
        'GET /a%20b/%C3%BC?x=1&y=%0d%0a HTTP/1.1',
        'host: acme.com:8443',
        'connection: keep-alive',
        'range: r',
        '',
        '',
      ],
    );
    assert.equal(linesOf('http://[::1]:80/')?.[1], 'host: [::1]');
    assert.equal(linesOf('http://[::1]:81')?.[1], 'host: [::1]:81');
    assert.equal(linesOf('https://acme.com:443')?.[1], 'host: acme.com');
  });

  test('has a line for each header, or is none', () => {
    for (const text of ['a\r\nx: y', 'a\nb', 'a\rb', 'a\0', '\x7f', '\u010a', '\u4e0d'])
      assert.equal(
        requestHead(new URL('http://h'), { authorization: text }),
        undefined,
        JSON.stringify(text),
      );
    for (const name of ['', 'a b', 'a:', 'a\r\nb', 'ü'])
      assert.equal(requestHead(new URL('http://h'), { [name]: 'x' }), undefined, JSON.stringify(name));
    assert.equal(linesOf('http://h', { a: '\tb ~\xff' })?.[3], 'a: \tb ~\xff');
  });
});

describe('an answer', () => {
  const parsed = (...lines: string[]) => parseAnswerHead(['HTTP/1.1 200 OK', ...lines].join('\r\n'));

  test('has a status and headers, with names in lower case and white space only within', () => {
    const head = parsed('Content-Length:5', 'X-A: \t b  c \t', 'x-a:', '__proto__: x', 'Location: /\xe9');
    assert.deepEqual(
      { ...head, headers: { ...head?.headers } },
      {
        status: 200,
        headers: { 'content-length': '5', 'x-a': ['b  c', ''], ['__proto__']: 'x', location: '/\xe9' },
        length: 5,
        keepsOpen: true,
      },
    );
    assert.equal(parseAnswerHead('HTTP/1.1 206')?.status, 206);
  });

  test('is none if it is not HTTP/1.1 to the letter', () => {
    for (const first of [
      'HTTP/1.0 200 OK',
      'HTTP/2 200',
      'http/1.1 200 OK',
      'HTTP/1.1 20',
      'HTTP/1.1 2000',
      '',
      'HTTP/1.1 200 \n',
    ])
      assert.equal(parseAnswerHead(first), undefined, first);
    for (const line of [
      'x',
      ': y',
      'x : y',
      ' folded',
      '\tfolded',
      'x: a\nb: c',
      'x: a\rb',
      'x: a\0',
      '\xa0x: y',
      '',
    ])
      assert.equal(parsed('content-length: 1', line), undefined, JSON.stringify(line));
  });

  test('has a length where that is said once and nothing else is', () => {
    assert.equal(parsed('content-length: 007')?.length, 7);
    for (const lines of [
      [],
      ['content-length: 5', 'content-length: 5'],
      ['content-length: 5, 5'],
      ['content-length: +5'],
      ['content-length: 0x5'],
      ['content-length: 5 5'],
      ['content-length: \xa05'],
      ['content-length:'],
      ['content-length: 1000000000000000'],
      ['content-length: 5', 'transfer-encoding: chunked'],
      ['transfer-encoding: identity', 'content-length: 5'],
    ])
      assert.equal(parsed(...lines)?.length, undefined, lines.join());
    for (const status of [100, 103, 199, 204, 304])
      assert.equal(parseAnswerHead(`HTTP/1.1 ${status} x\r\ncontent-length: 5`)?.length, undefined);
  });

  test('says whether the connection is closed behind it', () => {
    const keepsOpen = (...lines: string[]) => parsed('content-length: 1', ...lines)?.keepsOpen;
    for (const value of ['close', 'Close', 'x, CLOSE', 'close,x', 'x,\tclose , y'])
      assert.equal(keepsOpen(`Connection: ${value}`), false, value);
    assert.equal(keepsOpen('connection: x', 'connection: close'), false);
    for (const value of ['keep-alive', 'x-close', 'closed', ''])
      assert.equal(keepsOpen(`connection: ${value}`), true);
  });
});
