import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { Bandwidth } from '../../src/http/bandwidth.ts';
import type { ByteSink } from '../../src/http/byte-socket.ts';
import { createByteSockets, createDispatcher } from '../../src/http/dispatcher.ts';
import { clientFor, serve } from './clients.ts';

/** Time that passes only when it is told to. */
function clock(t: TestContext): { now(): number; pass(ms: number): Promise<void>; idle(ms: number): void } {
  let now = 5000;
  t.mock.timers.enable({ apis: ['setTimeout'] });
  t.mock.method(performance, 'now', () => now);
  return {
    now: () => now,
    idle: (ms) => {
      now += ms;
    },
    async pass(ms) {
      for (let passed = 0; passed < ms; passed++) {
        now += 1;
        t.mock.timers.tick(1);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

/** Goes on as fast as it is let. */
function greedy(bandwidth: Bandwidth, bytes: number, signal?: AbortSignal): { passed: number } {
  const told = { passed: 0 };
  const go = async () => {
    while (!signal?.aborted) {
      await bandwidth.pass(bytes, signal);
      told.passed += bytes;
    }
  };
  void go();
  return told;
}

describe('a token bucket', () => {
  test('is for all together, and fair', async (t) => {
    const time = clock(t);
    const end = new AbortController();
    const bandwidth = new Bandwidth(1_000_000);
    const workers = Array.from({ length: 4 }, () => greedy(bandwidth, bandwidth.portion, end.signal));
    const all = () => workers.reduce((sum, { passed }) => sum + passed, 0);
    await time.pass(1000);
    // A burst of 100 ms at most; a portion of each that waits is on its way.
    assert.ok(all() <= 1_100_000 && all() >= 1_100_000 - bandwidth.portion, `${all()}`);
    await time.pass(9000);
    assert.ok(all() <= 10_100_000 && all() >= 10_100_000 - bandwidth.portion, `${all()}`);
    const shares = workers.map(({ passed }) => passed);
    assert.ok(Math.max(...shares) - Math.min(...shares) <= 2 * bandwidth.portion, `${shares}`);
    end.abort();
  });

  test('what was not used is no more than a burst', async (t) => {
    const time = clock(t);
    const bandwidth = new Bandwidth(1_000_000);
    time.idle(60_000);
    assert.equal(bandwidth.pass(100_000), undefined);
    assert.notEqual(bandwidth.pass(1), undefined);
  });

  test('a timer that fires late costs nothing', async (t) => {
    const time = clock(t);
    const end = new AbortController();
    const bandwidth = new Bandwidth(1_000_000);
    const worker = greedy(bandwidth, 10_000, end.signal);
    for (let i = 0; i < 100; i++) {
      // Each is asleep for 50 ms, in which five portions could have passed.
      time.idle(49);
      await time.pass(1);
      for (let waits = 0; waits < 10; waits++) t.mock.timers.tick(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(worker.passed >= 4_800_000 && worker.passed <= 5_200_000, `${worker.passed}`);
    end.abort();
  });

  test('portions are as long as a piece at most, and do not fall silent for long at a low rate', () => {
    assert.equal(new Bandwidth(200_000_000).portion, 512 * 1024);
    assert.equal(new Bandwidth(1_000_000).portion, 50_000);
    assert.equal(new Bandwidth(1000).portion, 512);
  });

  test('a wait ends at once when it is aborted, and none begins after that', async (t) => {
    clock(t);
    const bandwidth = new Bandwidth(1000);
    const abort = new AbortController();
    const waiting = bandwidth.pass(1_000_000, abort.signal);
    assert.ok(waiting);
    abort.abort();
    await waiting;
    assert.equal(bandwidth.pass(1, abort.signal), undefined);
  });

  test('lifted, every wait ends, and none begins', async (t) => {
    clock(t);
    const bandwidth = new Bandwidth(1000);
    const waiting = [1, 2, 3].map(() => bandwidth.pass(1_000_000));
    bandwidth.lift();
    await Promise.all(waiting);
    assert.equal(bandwidth.pass(1_000_000), undefined);
  });
});

describe('a body', () => {
  test('goes in portions, byte for byte, each after its time', async (t) => {
    const time = clock(t);
    const bandwidth = new Bandwidth(10_000);
    const bytes = Buffer.from(Array.from({ length: 3000 }, (_, i) => i % 251));
    async function* body() {
      yield bytes.subarray(0, 1700);
      yield bytes.subarray(1700);
    }
    const sent: { at: number; length: number }[] = [];
    const began = time.now();
    const collected: Buffer[] = [];
    const sending = (async () => {
      for await (const piece of bandwidth.sending(body(), new AbortController().signal)) {
        sent.push({ at: time.now() - began, length: piece.length });
        collected.push(Buffer.from(piece));
      }
    })();
    await time.pass(300);
    await sending;
    assert.deepEqual(Buffer.concat(collected), bytes);
    assert.deepEqual(
      sent.map(({ length }) => length),
      [512, 512, 512, 164, 512, 512, 276],
    );
    let before = 0;
    for (const { at, length } of sent) {
      before += length;
      assert.ok(at >= (before / 10_000) * 1000 - 100, `${before} bytes after ${at} ms`);
    }
  });

  test('lifted in its middle, the rest goes at once', async (t) => {
    clock(t);
    const bandwidth = new Bandwidth(1000);
    const piece = Buffer.alloc(512 * 1024);
    async function* body() {
      yield piece;
    }
    const sending = bandwidth.sending(body(), new AbortController().signal);
    const first = sending.next();
    await new Promise((resolve) => setImmediate(resolve));
    bandwidth.lift();
    assert.equal((await first).value?.length, 512);
    assert.equal((await sending.next()).value?.length, piece.length - 512);
    assert.equal((await sending.next()).done, true);
  });
});

/** Takes everything. */
function sinkOf(memory: Buffer): { sink: ByteSink; taken(): number } {
  let at = 0;
  const sink: ByteSink = {
    room: () => (at < memory.length ? memory.subarray(at) : undefined),
    took(bytes) {
      at += bytes;
      return undefined;
    },
  };
  return { sink, taken: () => at };
}

describe('a client', () => {
  /** Half of a wait for the next portion of the caps below. */
  const stallMs = 250;
  const size = 1500;
  /** 512 bytes take 512 ms of it. */
  const slow = () => new Bandwidth(1000);
  const leastMs = size - 100;

  for (const way of ['undici', 'a connection of our own']) {
    test(`holds back what it reads of a file through ${way}, which is no stall`, async (t) => {
      const bytes = Buffer.from(Array.from({ length: size }, (_, i) => i % 251));
      const halfway = Promise.withResolvers<void>();
      const server = await serve(t, async (_request, response) => {
        response.setHeader('content-length', size);
        response.write(bytes.subarray(0, size / 2));
        // A request that is over could not stall any more.
        await halfway.promise;
        response.end(bytes.subarray(size / 2));
      });
      const dispatcher = createDispatcher({});
      const sockets = createByteSockets({}, dispatcher);
      t.after(async () => {
        sockets?.destroy();
        await dispatcher.destroy();
      });
      const http = clientFor(t, server.url, {
        stallMs,
        down: slow(),
        up: new Bandwidth(1),
        ...(way === 'undici' ? {} : { sockets }),
      });
      const memory = Buffer.alloc(size);
      const { sink, taken } = sinkOf(memory);
      const took = (read: number) => {
        const held = sink.took(read);
        if (taken() >= size / 2) halfway.resolve();
        return held;
      };
      const started = performance.now();
      const answer = await http.request({ method: 'GET', url: new URL(server.url), large: true });
      await answer.into({ room: () => sink.room(), took });
      assert.ok(performance.now() - started >= leastMs, `${performance.now() - started}`);
      assert.deepEqual(memory, bytes);
    });
  }

  test('reads documents as fast as they come', async (t) => {
    const server = await serve(t, (_request, response) => void response.end(Buffer.alloc(size)));
    const http = clientFor(t, server.url, { down: new Bandwidth(1) });
    const answer = await http.request({ method: 'GET', url: new URL(server.url) });
    assert.equal((await answer.bytes(size)).length, size);
  });

  test('holds back a body that it sends, which is no stall, and nothing else', async (t) => {
    const server = await serve(t, async (request, response) => {
      response.end(String((await Array.fromAsync(request)).reduce((sum, { length }) => sum + length, 0)));
    });
    const http = clientFor(t, server.url, { stallMs, up: slow(), down: new Bandwidth(1) });
    async function* body() {
      yield Buffer.alloc(size);
    }
    const started = performance.now();
    const answer = await http.request({ method: 'PATCH', url: new URL(server.url), body: body() });
    assert.ok(performance.now() - started >= leastMs, `${performance.now() - started}`);
    assert.equal(String(await answer.bytes(100)), `${size}`);
    const document = clientFor(t, server.url, { up: new Bandwidth(1) });
    const put = await document.request({
      method: 'PUT',
      url: new URL(server.url),
      body: Buffer.alloc(size),
    });
    assert.equal(String(await put.bytes(100)), `${size}`);
  });

  test('still sees a server fall silent', async (t) => {
    const server = await serve(t, (_request, response) => {
      response.setHeader('content-length', size);
      response.write(Buffer.alloc(size / 2));
    });
    const http = clientFor(t, server.url, { stallMs, down: slow() });
    const answer = await http.request({ method: 'GET', url: new URL(server.url) });
    const { sink, taken } = sinkOf(Buffer.alloc(size));
    await assert.rejects(answer.into(sink), /no progress for/);
    assert.equal(taken(), size / 2);
  });

  test('stops in the middle of a wait', async (t) => {
    const server = await serve(t, (request, response) => {
      request.resume();
      if (request.method !== 'GET') return;
      response.setHeader('content-length', 2 * size);
      response.write(Buffer.alloc(size));
    });
    const url = new URL(server.url);
    const stuck = new Bandwidth(1);
    t.after(() => stuck.lift());
    const http = clientFor(t, server.url, { down: stuck, up: stuck });
    const reason = new Error('stopped');
    const reading = new AbortController();
    const answer = await http.request({ method: 'GET', url, signal: reading.signal });
    const { sink } = sinkOf(Buffer.alloc(2 * size));
    const took = (bytes: number) => {
      setImmediate(() => reading.abort(reason));
      return sink.took(bytes);
    };
    await assert.rejects(answer.into({ room: () => sink.room(), took }), (error) => error === reason);
    const sending = new AbortController();
    const ended = Promise.withResolvers<void>();
    async function* body() {
      try {
        setImmediate(() => sending.abort(reason));
        yield Buffer.alloc(size);
      } finally {
        ended.resolve();
      }
    }
    const patch = http.request({ method: 'PATCH', url, body: body(), signal: sending.signal });
    await assert.rejects(patch, (error) => error === reason);
    await ended.promise;
  });
});
