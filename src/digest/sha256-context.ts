import type { Sha256, Sha256State } from './sha256.ts';
import { called, type Foreign, type Lane } from './sha256-lanes.ts';

/**
 * `SHA256_CTX` of OpenSSL's include/openssl/sha.h: `h[8]`, `Nl`, `Nh` (length in bits), `data[64]`, `num`, `md_len`,
 * 32-bit words in the machine's order; 112 bytes, with room to spare.
 */
const contextSize = 128;
const lengthAt = 32;
const numAt = 104;
const digestLengthAt = 108;
const blockSize = 64;

/** Of the OpenSSL inside node. */
export interface Functions {
  init: Foreign;
  update: Foreign;
  final: Foreign;
}

/** The whole blocks of what a hash takes, and what is done once its chain values have these. */
export interface Begun extends Lane {
  finish: () => void;
}

/** A SHA-256 of OpenSSL's, whose context is plain memory. */
export class OpensslSha256 implements Sha256 {
  readonly #functions: Functions;
  readonly #context = Buffer.alloc(contextSize);
  readonly #words = new Uint32Array(this.#context.buffer, this.#context.byteOffset, contextSize / 4);
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

  /** Takes what fills the block that was begun; the whole blocks are for lanes to take. */
  begin(bytes: Uint8Array): Begun {
    const start = Math.min(bytes.length, (blockSize - (this.#bytes % blockSize)) % blockSize);
    const end = bytes.length - ((bytes.length - start) % blockSize);
    if (start > 0) this.update(bytes.subarray(0, start));
    const finish = () => {
      this.#advance(end - start);
      if (end < bytes.length) this.update(bytes.subarray(end));
    };
    return { chain: this.#words, bytes: bytes.subarray(start, end), finish };
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
