/**
 * What one writes in Node without thinking of speed: undici in, a hash in an async generator, undici out. Expects HUB (URL up
 * to the file's name), REGISTRY (URL up to the repository) and WORKERS; files are the arguments.
 */
import assert from 'node:assert/strict';
import { createHash, type Hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { Agent, interceptors, request, setGlobalDispatcher } from 'undici';

const { HUB, REGISTRY, WORKERS } = process.env;
setGlobalDispatcher(new Agent().compose(interceptors.redirect({ maxRedirections: 3 })));

const files = process.argv.slice(2);
await Promise.all(
  Array.from({ length: Number(WORKERS) }, async () => {
    for (let file = files.shift(); file; file = files.shift()) await push(file);
  }),
);

async function push(file: string): Promise<void> {
  const session = await send('POST', `${REGISTRY}/blobs/uploads/`, null, 202);
  const { statusCode, body } = await request(`${HUB}/${file}`);
  assert.equal(statusCode, 200);
  const hash = createHash('sha256');
  const stored = await send('PATCH', session, hashed(body, hash), 202);
  await send('PUT', `${stored}&digest=sha256:${hash.digest('hex')}`, null, 201);
}

async function* hashed(body: AsyncIterable<Buffer>, hash: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of body) {
    hash.update(chunk);
    yield chunk;
  }
}

/** @returns the answer's Location. */
async function send(
  method: 'POST' | 'PATCH' | 'PUT',
  url: string,
  body: AsyncGenerator<Buffer> | null,
  expected: number,
): Promise<string> {
  const headers = { 'content-type': 'application/octet-stream' };
  // Any async iterable is a body, which its types do not say.
  const iterable = body as unknown as Readable;
  const answer = await request(url, { method, headers, body: iterable });
  await answer.body.dump();
  assert.equal(answer.statusCode, expected);
  return String(answer.headers.location);
}
