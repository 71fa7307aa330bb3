import { createHash } from 'node:crypto';
import type { Sha256, Sha256Engine, Sha256State } from './sha256.ts';

/**
 * `SHA256_CTX` of OpenSSL's include/openssl/sha.h: `h[8]`, `Nl`, `Nh` (length in bits), `data[64]`, `num`, `md_len`,
 * 32-bit words in the machine's order; 112 bytes, with room to spare.
 */
const contextSize = 128;
const lengthAt = 32;
const numAt = 104;
const digestLengthAt = 108;

type Call = (...args: (Buffer | Uint8Array | number)[]) => number;
interface Functions {
  init: Call;
  update: Call;
  final: Call;
}

/**
 * SHA-256 of the OpenSSL inside node itself, through FFI. `undefined` where koffi has no binary for this machine, where
 * node does not export the symbols (some distributions' builds), or where a self-test finds another struct layout.
 */
export async function opensslEngine(): Promise<Sha256Engine | undefined> {
  try {
    const { default: koffi } = await import('koffi');
    const self = koffi.load(null);
    const functions: Functions = {
      init: self.func('int SHA256_Init(void *c)'),
      update: self.func('int SHA256_Update(void *c, const void *data, size_t len)'),
      final: self.func('int SHA256_Final(void *md, void *c)'),
    };
    return selfTest(functions)
      ? { name: 'openssl', create: async (from) => new OpensslSha256(functions, from) }
      : undefined;
  } catch {
    return undefined;
  }
}

class OpensslSha256 implements Sha256 {
  readonly #functions: Functions;
  readonly #context = Buffer.alloc(contextSize);
  #bytes = 0;

  constructor(functions: Functions, from?: Sha256State) {
    this.#functions = functions;
    functions.init(this.#context);
    if (from) this.#restore(from);
  }

  update(bytes: Uint8Array): void {
    this.#functions.update(this.#context, bytes, bytes.length);
    this.#bytes += bytes.length;
  }

  save(): Sha256State {
    const words = new Uint32Array(this.#context.buffer, this.#context.byteOffset, 8);
    return {
      bytes: this.#bytes,
      chain: Array.from(words, (word) => word.toString(16).padStart(8, '0')).join(''),
    };
  }

  digest(): string {
    const digest = Buffer.alloc(32);
    this.#functions.final(digest, this.#context);
    return digest.toString('hex');
  }

  #restore({ bytes, chain }: Sha256State): void {
    const words = new Uint32Array(this.#context.buffer, this.#context.byteOffset, contextSize / 4);
    for (let i = 0; i < 8; i++) words[i] = Number.parseInt(chain.slice(8 * i, 8 * i + 8), 16);
    const bits = BigInt(bytes) * 8n;
    words[lengthAt / 4] = Number(bits & 0xffffffffn);
    words[lengthAt / 4 + 1] = Number(bits >> 32n);
    words[numAt / 4] = 0;
    words[digestLengthAt / 4] = 32;
    this.#bytes = bytes;
  }
}

function selfTest(functions: Functions): boolean {
  const input = Buffer.alloc(200, 'boxcar');
  const first = new OpensslSha256(functions);
  first.update(input.subarray(0, 128));
  const second = new OpensslSha256(functions, first.save());
  second.update(input.subarray(128));
  return second.digest() === createHash('sha256').update(input).digest('hex');
}
