import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { Sha256, Sha256Engine, Sha256State } from './sha256.ts';
import { called, type Foreign, Sha256Lanes } from './sha256-lanes.ts';

/**
 * `SHA256_CTX` of OpenSSL's include/openssl/sha.h: `h[8]`, `Nl`, `Nh` (length in bits), `data[64]`, `num`, `md_len`,
 * 32-bit words in the machine's order; 112 bytes, with room to spare.
 */
const contextSize = 128;
const lengthAt = 32;
const numAt = 104;
const digestLengthAt = 108;
const blockSize = 64;
/** Fewer bytes are hashed sooner than another thread, or a context of another form, is ready for them. */
const worthAThread = 64 * 1024;

interface Functions {
  init: Foreign;
  update: Foreign;
  final: Foreign;
  /** Two hashes in one pass; absent where this processor is not quicker so. */
  lanes?: () => Sha256Lanes;
}

/**
 * SHA-256 of the OpenSSL inside node itself, through FFI. `undefined` where koffi has no binary for this machine, where
 * node does not export the symbols (some distributions' builds), or where a self-test finds another struct layout.
 */
export async function opensslEngine(): Promise<Sha256Engine | undefined> {
  try {
    const { default: koffi } = await import('koffi');
    const self = koffi.load(null);
    const foreign = (definition: string) => self.func(definition) as unknown as Foreign;
    const functions: Functions = {
      init: foreign('int SHA256_Init(void *c)'),
      update: foreign('int SHA256_Update(void *c, const void *data, size_t len)'),
      final: foreign('int SHA256_Final(void *md, void *c)'),
    };
    if (!isRight(functions)) return undefined;
    return new OpensslEngine(
      quickest(functions, () => {
        const run = foreign('void sha256_multi_block(void *context, const void *input, int count)');
        return () => new Sha256Lanes(run, koffi.address);
      }),
    );
  } catch {
    return undefined;
  }
}

class OpensslEngine implements Sha256Engine {
  readonly name = 'openssl';
  readonly #functions: Functions;
  readonly #elsewhere = availableParallelism() > 2;

  constructor(functions: Functions) {
    this.#functions = functions;
  }

  /** Whether two hashes go through the bytes together. */
  get hasLanes(): boolean {
    return this.#functions.lanes !== undefined;
  }

  async create(from?: Sha256State): Promise<OpensslSha256> {
    return new OpensslSha256(this.#functions, from);
  }

  update(hashes: readonly OpensslSha256[], bytes: Uint8Array): Promise<void> | undefined {
    const elsewhere = this.#elsewhere && bytes.length >= worthAThread;
    const [one, other] = hashes;
    if (one && other && bytes.length >= worthAThread && this.#functions.lanes)
      return one.updateWith(other, bytes, elsewhere);
    const all = hashes.map((hash) => hash.take(bytes, elsewhere));
    return elsewhere ? Promise.all(all).then(() => {}) : undefined;
  }
}

class OpensslSha256 implements Sha256 {
  readonly #functions: Functions;
  readonly #context = Buffer.alloc(contextSize);
  readonly #words = new Uint32Array(this.#context.buffer, this.#context.byteOffset, contextSize / 4);
  #lanes: Sha256Lanes | undefined;
  #bytes = 0;

  constructor(functions: Functions, from?: Sha256State) {
    this.#functions = functions;
    functions.init(this.#context);
    if (from) this.#restore(from);
  }

  update(bytes: Uint8Array): void {
    this.take(bytes, false);
  }

  /** @param elsewhere on another thread. */
  take(bytes: Uint8Array, elsewhere: boolean): Promise<void> | undefined {
    this.#bytes += bytes.length;
    if (elsewhere) return called(this.#functions.update, this.#context, bytes, bytes.length);
    this.#functions.update(this.#context, bytes, bytes.length);
    return undefined;
  }

  /** The same bytes into both, which stand at the same byte of a block. */
  updateWith(other: OpensslSha256, bytes: Uint8Array, elsewhere: boolean): Promise<void> | undefined {
    const both = (part: Uint8Array) => {
      this.update(part);
      other.update(part);
    };
    const start = (blockSize - (this.#bytes % blockSize)) % blockSize;
    const end = start + Math.floor((bytes.length - start) / blockSize) * blockSize;
    if (start > 0) both(bytes.subarray(0, start));
    const blocks = bytes.subarray(start, end);
    this.#lanes ??= this.#functions.lanes?.();
    const hashed = this.#lanes?.update(this.#words, other.#words, blocks, elsewhere);
    const finish = () => {
      this.#advance(blocks.length);
      other.#advance(blocks.length);
      if (end < bytes.length) both(bytes.subarray(end));
    };
    if (hashed) return hashed.then(finish);
    finish();
    return undefined;
  }

  save(): Sha256State {
    const chain = Array.from(this.#words.subarray(0, 8), (word) => word.toString(16).padStart(8, '0')).join(
      '',
    );
    return { bytes: this.#bytes, chain };
  }

  digest(): string {
    const digest = Buffer.alloc(32);
    this.#functions.final(digest, this.#context);
    return digest.toString('hex');
  }

  #restore({ bytes, chain }: Sha256State): void {
    for (let i = 0; i < 8; i++) this.#words[i] = Number.parseInt(chain.slice(8 * i, 8 * i + 8), 16);
    this.#words[numAt / 4] = 0;
    this.#words[digestLengthAt / 4] = 32;
    this.#advance(bytes);
  }

  /** So many bytes have come into the chain values otherwise than through OpenSSL's own functions. */
  #advance(bytes: number): void {
    this.#bytes += bytes;
    const bits = BigInt(this.#bytes) * 8n;
    this.#words[lengthAt / 4] = Number(bits & 0xffffffffn);
    this.#words[lengthAt / 4 + 1] = Number(bits >> 32n);
  }
}

/** Whether the structures are what they are taken for. */
function isRight(functions: Functions): boolean {
  const input = Buffer.alloc(200, 'boxcar');
  const first = new OpensslSha256(functions);
  first.update(input.subarray(0, 128));
  const second = new OpensslSha256(functions, first.save());
  second.update(input.subarray(128));
  return second.digest() === createHash('sha256').update(input).digest('hex');
}

/** With lanes, where node's OpenSSL has them, they are right, and quicker than one hash after the other. */
function quickest(functions: Functions, find: () => () => Sha256Lanes): Functions {
  try {
    const withLanes = { ...functions, lanes: find() };
    return areRight(withLanes) && areQuicker(withLanes) ? withLanes : functions;
  } catch {
    return functions;
  }
}

function areRight(functions: Functions): boolean {
  const input = Buffer.alloc(1000, 'boxcar');
  const one = new OpensslSha256(functions);
  const other = new OpensslSha256(functions);
  one.update(input.subarray(0, 128));
  for (const hash of [one, other]) hash.update(input.subarray(0, 7));
  one.updateWith(other, input.subarray(7), false);
  const right = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest('hex');
  return one.digest() === right(input.subarray(0, 128), input) && other.digest() === right(input);
}

/** Without instructions for SHA-256, lanes that nobody fills cost as much as the others. */
function areQuicker(functions: Functions): boolean {
  const input = Buffer.alloc(worthAThread);
  const one = new OpensslSha256(functions);
  const other = new OpensslSha256(functions);
  const best = (work: () => void) => {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 4; i++) {
      const start = performance.now();
      work();
      least = Math.min(least, performance.now() - start);
    }
    return least;
  };
  const together = best(() => one.updateWith(other, input, false));
  return together < best(() => [one, other].map((hash) => hash.update(input)));
}
