import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { ByteSocket } from '../../src/http/byte-socket.ts';
import type { ServerIdentity } from '../support/listen.ts';
import { needsOpenssl, temporaryAuthority } from '../support/tls.ts';
import { socketsFor } from './clients.ts';
import { rawServer } from './raw-server.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Random = (below: number) => number;

/** xorshift32. */
function randomOf(seed: number): Random {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const largest = 700_000;
const truth = Buffer.from(
  Uint32Array.from({ length: largest / 4 }, (_, i) => Math.imul(i, 2654435761)).buffer,
);
const canary = Buffer.alloc(131_072, 0xa5);

/** Memory that is used again: nobody may write into what was given back. */
class Pool {
  readonly #free: Buffer[] = [];

  take(size: number): Buffer {
    const at = this.#free.findIndex((each) => each.length === size);
    const memory = at < 0 ? Buffer.allocUnsafeSlow(size) : (this.#free.splice(at, 1)[0] as Buffer);
    if (at >= 0) this.#assertUntouched(memory);
    return memory;
  }

  give(memory: Buffer): void {
    canary.copy(memory);
    this.#free.push(memory);
  }

  assertUntouched(): void {
    for (const memory of this.#free) this.#assertUntouched(memory);
  }

  #assertUntouched(memory: Buffer): void {
    assert.ok(
      canary.subarray(0, memory.length).equals(memory),
      'memory that was given back was written into',
    );
  }
}

/** Reads an answer with whims, compares its bytes, and gives the memory back at once. @returns what came of it. */
async function readOne(
  socket: ByteSocket,
  length: number,
  random: Random,
  pool: Pool,
  abort: AbortController,
) {
  const whim = random(6);
  const end = whim < 2 ? random(length + 1) : Number.POSITIVE_INFINITY;
  const sizes = [100, 3000, 20_000, 131_072];
  let memory: Buffer | undefined;
  let at = 0;
  let isHolding = false;
  const read = socket.read({
    room() {
      if (whim === 0 && at >= end) return undefined;
      memory ??= pool.take(sizes[random(sizes.length)] as number);
      return memory;
    },
    took(bytes) {
      assert.ok(!isHolding, 'asked to wait');
      const filled = memory ?? assert.fail('no memory');
      memory = undefined;
      assert.ok(filled.subarray(0, bytes).equals(truth.subarray(at, at + bytes)), `other bytes at ${at}`);
      at += bytes;
      pool.give(filled);
      if (whim === 1 && at >= end) abort.abort(new Error('stopped'));
      if (random(8) > 0) return undefined;
      isHolding = true;
      const turns = random(4);
      return (async () => {
        for (let i = 0; i < turns; i++) await turn();
        isHolding = false;
      })();
    },
  });
  const result = await read.then(
    () => (at === length ? 'whole' : 'left'),
    (error: Error) => error.message,
  );
  if (memory) pool.give(memory);
  return result;
}

async function exercise(t: TestContext, seed: number, identity?: ServerIdentity): Promise<void> {
  const serverRandom = randomOf(seed);
  const server = await rawServer(
    t,
    async (socket, request) => {
      const [, length = 0, fault] = (/GET \/(\d+)\/(\w+)/.exec(request) ?? []) as unknown as [
        string,
        number,
        string,
      ];
      if (identity) (socket as TLSSocket).setMaxSendFragment(512 + serverRandom(16_384 - 512));
      const stopAt = fault === 'cut' ? serverRandom(Number(length)) : Number(length);
      socket.write(
        `HTTP/1.1 200 OK\r\n${fault === 'close' ? 'connection: close\r\n' : ''}content-length: ${length}\r\n\r\n`,
      );
      for (let at = 0; at < stopAt && socket.writable; ) {
        const next = Math.min(stopAt, at + 1 + serverRandom(150_000));
        if (!socket.write(truth.subarray(at, next))) await turn();
        at = next;
      }
      if (fault !== 'none') socket.end();
    },
    identity,
  );
  const sockets = socketsFor(t, identity ? { SSL_CERT_FILE: (await temporaryAuthority()).caFile } : {});
  const pool = new Pool();
  const seen: Record<string, number> = {};
  const lane = async (number: number) => {
    const random = randomOf(seed + 7919 * number);
    for (let i = 0; i < 30; i++) {
      const abort = new AbortController();
      const length = random(3) === 0 ? random(3000) : 1 + random(largest - 1);
      const fault = ['none', 'none', 'none', 'cut', 'close'][random(5)] as string;
      const url = new URL(`/${length}/${fault}`, server.url);
      const got = await sockets.get(url, {}, undefined, abort.signal);
      assert.ok(got && got.head.length === length);
      if (random(10) === 0) setImmediate(() => abort.abort(new Error('stopped')));
      const result = await readOne(got.socket, length, random, pool, abort);
      seen[result] = (seen[result] ?? 0) + 1;
      if (fault === 'cut' && length > 0) assert.notEqual(result, 'whole');
    }
  };
  await Promise.all([1, 2, 3, 4].map(lane));
  for (let i = 0; i < 20; i++) await turn();
  pool.assertUntouched();
  const told = JSON.stringify(seen);
  for (const result of ['whole', 'left', 'stopped', 'other side closed'])
    assert.ok((seen[result] ?? 0) > 3, `too few ${result}: ${told}`);
  assert.ok(server.connections() < 105, `${server.connections()} connections for 120 answers`);
}

for (const seed of [1, 20]) {
  test(`plain, seed ${seed}: every byte is right, and none is written into memory given back`, (t) =>
    exercise(t, seed));
  test(`TLS, seed ${seed}: the same`, needsOpenssl, async (t) =>
    exercise(t, seed, (await temporaryAuthority()).server),
  );
}
