/**
 * The bench's hub and CDN, a process of their own so that their CPU is not counted with anybody's. Made for speed:
 * a model of large files and what their download needs, nothing else (the tests' stand-in in test/support knows more).
 * Forked by start.ts with the number of files and their size in bytes; says where it is, and ends with its parent.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type BenchFile, Content } from './content.ts';

const model = 'bench/model';
const commit = '0123456789abcdef0123456789abcdef01234567';
const api = `/api/models/${model}`;
const resolve = `/${model}/resolve/`;

const [count, size] = process.argv.slice(2).map(Number) as [number, number];
const content = new Content(count, size);
const hub = createServer(answerHub);
const cdn = createServer((request, response) => void answerCdn(request, response));
const [hubUrl, cdnUrl] = await Promise.all([listening(hub), listening(cdn)]);

process.once('disconnect', () => process.exit());
process.send?.({ hubUrl, model, commit, files: content.files });

async function listening(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function answerHub(request: IncomingMessage, response: ServerResponse): void {
  const path = decodeURIComponent(request.url?.split('?')[0] ?? '');
  if (path.startsWith(`${api}/tree/`)) return void json(response, content.files.map(treeEntry));
  if (path === api || path.startsWith(`${api}/revision/`)) {
    const siblings = content.files.map((file) => ({ rfilename: file.path }));
    return void json(response, { _id: commit.slice(0, 24), id: model, sha: commit, siblings });
  }
  const file = path.startsWith(resolve) ? fileAt(path) : undefined;
  if (!file) return void response.writeHead(404, { 'content-length': 0 }).end();
  response.writeHead(302, {
    location: `${cdnUrl}/${file.path}`,
    'content-length': 0,
    'x-repo-commit': commit,
    'x-linked-etag': `"${file.sha256}"`,
    'x-linked-size': file.size,
  });
  response.end();
}

async function answerCdn(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const file = fileAt(request.url ?? '');
  if (!file) return void response.writeHead(404, { 'content-length': 0 }).end();
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const from = Number(range?.[1] ?? 0);
  const to = Math.min(file.size, range?.[2] ? Number(range[2]) + 1 : file.size);
  response.writeHead(range ? 206 : 200, {
    'content-length': to - from,
    etag: `"${file.sha256}"`,
    'accept-ranges': 'bytes',
    ...(range ? { 'content-range': `bytes ${from}-${to - 1}/${file.size}` } : {}),
  });
  if (request.method !== 'HEAD') {
    for (const slice of content.read(file, from, to)) {
      if (response.destroyed) return;
      if (!response.write(slice)) await drained(response);
    }
  }
  response.end();
}

/** Also when the client has left. */
async function drained(response: ServerResponse): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]);
  over.abort();
}

function fileAt(path: string): BenchFile | undefined {
  return content.files.find((file) => path.endsWith(`/${file.path}`));
}

function treeEntry(file: BenchFile): object {
  const lfs = { oid: file.sha256, size: file.size, pointerSize: 134 };
  return { type: 'file', oid: file.sha256.slice(0, 40), size: file.size, lfs, path: file.path };
}

function json(response: ServerResponse, value: unknown): void {
  const text = JSON.stringify(value);
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': text.length,
    'x-repo-commit': commit,
  });
  response.end(text);
}
