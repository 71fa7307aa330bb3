import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { BoxcarError } from '../../src/errors.ts';
import { statusError } from '../../src/http/client.ts';
import { failureReason } from '../../src/http/failure-reason.ts';
import { type Answering, clientFor, serve } from './clients.ts';

async function reasonOf(t: TestContext, answering: Answering | string, stallMs?: number) {
  const url = typeof answering === 'string' ? answering : (await serve(t, answering)).url;
  const http = clientFor(t, url, stallMs === undefined ? {} : { stallMs });
  try {
    const answer = await http.request({ method: 'GET', url: new URL(url) });
    if (answer.status >= 400) throw await statusError('hub', answer, 'no');
    await answer.bytes(1e6);
  } catch (error) {
    return failureReason(error as BoxcarError);
  }
  return assert.fail('there was an answer');
}

test('a failure is one of few words', async (t) => {
  assert.equal(await reasonOf(t, (_, response) => void response.writeHead(503).end()), 'status_503');
  assert.equal(await reasonOf(t, (_, response) => void response.writeHead(429).end('slowly')), 'status_429');
  assert.equal(await reasonOf(t, (_, response) => void response.socket?.resetAndDestroy()), 'connection');
  assert.equal(await reasonOf(t, 'http://127.0.0.1:1'), 'connection');
  assert.equal(await reasonOf(t, 'http://no-such-host.invalid/'), 'dns');
  assert.equal(await reasonOf(t, () => {}, 50), 'stall');
  const silent: Answering = (_, response) =>
    void response.writeHead(200, { 'content-length': '9' }).write('1');
  assert.equal(await reasonOf(t, silent, 50), 'stall');
  const cut: Answering = (_, response) => {
    response.writeHead(200, { 'content-length': '9' });
    response.write('1', () => response.socket?.destroy());
  };
  assert.equal(await reasonOf(t, cut), 'connection');
});

test('an answer that is no failure of the way, and bytes that are not the right ones', () => {
  const request = { method: 'PATCH', url: 'http://r.example/v2/', status: 202 };
  const early = new BoxcarError('x', { code: 'registry-failed', side: 'registry', request });
  assert.equal(failureReason(early), 'answer');
  const wrong = new BoxcarError('x', { code: 'content-mismatch', side: 'hub', cause: new Error('y') });
  assert.equal(failureReason(wrong), 'content');
  // A server cannot make words of its own.
  const odd = new BoxcarError('x', { code: 'hub-failed', side: 'hub', request: { ...request, status: 999 } });
  assert.equal(failureReason(odd), 'answer');
});
