/**
 * The bench's hub and CDN, a process of their own so that their CPU is not counted with anybody's. Made for speed:
 * a model of equal files and what their download needs, nothing else (the tests' stand-in in test/support knows more).
 * Forked by start.ts with its options as JSON; says where it is, answers questions, and ends with its parent.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type BenchFile, Content } from './content.ts';
import { createLimit } from './limit.ts';
import type { HubOptions } from './start.ts';

const model = 'bench/model';
const commit = '0123456789abcdef0123456789abcdef01234567';
const api = `/api/models/${model}`;
const resolve = `/${model}/resolve/`;
/** Entries of a page of the listing, as the hub's. */
const pageLength = 1000;

const options: HubOptions = JSON.parse(process.argv[2] ?? '');
const content = new Content(options.files, options.size);
const limit = options.limits && createLimit(options.limits);
const [hubUrl, cdnUrl] = await Promise.all([
  listening(answerHub),
  listening((request, response) => void answerCdn(request, response)),
]);
let announcedCdn = cdnUrl;

process.once('disconnect', () => process.exit());
process.on('message', (question: { announceCdn?: string }) => {
  announcedCdn = question.announceCdn ?? announcedCdn;
  const { user, system } = process.cpuUsage();
  process.send?.((user + system) / 1e6);
});
process.send?.({ hubUrl, cdnUrl, model, commit, files: content.files });

async function listening(answer: RequestListener): Promise<string> {
  const { tls } = options;
  const server = tls
    ? createTlsServer({ key: readFileSync(tls.keyFile), cert: readFileSync(tls.certFile) }, answer)
    : createServer(answer);
  // A connection that waits for its share of a limited link, or for a file that is hashed, is not an idle one.
  server.keepAliveTimeout = 60_000;
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function answerHub(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '', `${hubUrl.split(':')[0]}://${request.headers.host}`);
  const path = decodeURIComponent(url.pathname);
  if (path.startsWith(`${api}/tree/`)) return void answerTree(url, response);
  if (path === api || path.startsWith(`${api}/revision/`)) {
    const siblings = content.files.map((file) => ({ rfilename: file.path }));
    return void json(response, { _id: commit.slice(0, 24), id: model, sha: commit, siblings });
  }
  const file = path.startsWith(resolve) ? fileAt(path) : undefined;
  if (!file) return void response.writeHead(404, { 'content-length': 0 }).end();
  response.writeHead(302, {
    location: `${announcedCdn}/${file.path}`,
    'content-length': 0,
    'x-repo-commit': commit,
    'x-linked-etag': `"${file.sha256}"`,
    'x-linked-size': file.size,
  });
  response.end();
}

function answerTree(url: URL, response: ServerResponse): void {
  const from = Number(url.searchParams.get('cursor') ?? 0);
  const next = from + pageLength;
  url.searchParams.set('cursor', `${next}`);
  const link = next < content.files.length ? { link: `<${url}>; rel="next"` } : {};
  json(response, content.files.slice(from, next).map(treeEntry), link);
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
      await limit?.(request.socket, slice.length);
      if (response.destroyed) return;
      if (!response.write(slice)) await drained(response);
    }
  }
  response.end();
}

/** Also when the client has left. Not with `once` and a signal: that costs as much as the writing. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

function fileAt(path: string): BenchFile | undefined {
  return content.file(path.slice(path.lastIndexOf('/') + 1));
}

function treeEntry(file: BenchFile): object {
  const lfs = { oid: file.sha256, size: file.size, pointerSize: 134 };
  return { type: 'file', oid: file.sha256.slice(0, 40), size: file.size, lfs, path: file.path };
}

function json(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
  const text = JSON.stringify(value);
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': text.length,
    'x-repo-commit': commit,
    ...headers,
  });
  response.end(text);
}
