import type { KoffiFunc } from 'koffi';

/** A function of the machine's, as koffi gives it. */
export type Foreign = KoffiFunc<(...args: (Uint8Array | number)[]) => number>;

/** Words of a chain value, and lanes that `SHA256_MB_CTX` has room for: `A[8], B[8], ... H[8]`. */
const words = 8;
const lanes = 8;
const contextSize = words * lanes * 4;
/** The code for wider vectors reads and writes the context in one move. */
const alignment = 64;
/** `HASH_DESC`: a pointer, a number of blocks, padding. Four are looked at. */
const descriptorSize = 16;
const descriptors = 4;

/** What one lane takes: whole blocks into a chain of eight words. */
export interface Lane {
  chain: Uint32Array;
  /** A multiple of 64; not to be changed before they are hashed. */
  bytes: Uint8Array;
}

/**
 * `sha256_multi_block` of the OpenSSL inside node (crypto/sha/asm/sha256-mb-x86_64.pl): whole blocks into several hashes
 * at once. A SHA-256 waits for itself most of the time; two that are interleaved take hardly longer than one.
 */
export class Sha256Lanes {
  readonly #run: Foreign;
  readonly #address: (bytes: Uint8Array) => bigint;
  readonly #context: Buffer;
  readonly #words: Uint32Array;
  readonly #input = Buffer.alloc(descriptors * descriptorSize);

  constructor(run: Foreign, address: (bytes: Uint8Array) => bigint) {
    this.#run = run;
    this.#address = address;
    const memory = Buffer.alloc(contextSize + alignment);
    const skip = (alignment - Number(address(memory) % BigInt(alignment))) % alignment;
    this.#context = memory.subarray(skip, skip + contextSize);
    this.#words = new Uint32Array(memory.buffer, memory.byteOffset + skip, words * lanes);
  }

  /** @param elsewhere on another thread: then done when the promise is fulfilled, and not used before. */
  update(both: readonly [Lane, Lane], elsewhere: boolean): Promise<void> | undefined {
    for (const [lane, { chain }] of both.entries())
      for (let i = 0; i < words; i++) this.#words[i * lanes + lane] = chain[i] as number;
    for (let lane = 0; lane < descriptors; lane++) {
      const bytes = both[lane]?.bytes;
      this.#input.writeBigUInt64LE(this.#address(bytes ?? both[0].bytes), lane * descriptorSize);
      this.#input.writeUInt32LE((bytes?.length ?? 0) / 64, lane * descriptorSize + 8);
    }
    const take = () => {
      for (const [lane, { chain }] of both.entries())
        for (let i = 0; i < words; i++) chain[i] = this.#words[i * lanes + lane] as number;
    };
    if (elsewhere) return called(this.#run, this.#context, this.#input, 1).then(take);
    this.#run(this.#context, this.#input, 1);
    take();
    return undefined;
  }
}

/** Calls a foreign function on a thread of libuv's pool. */
export function called(run: Foreign, ...args: (Uint8Array | number)[]): Promise<void> {
  return new Promise((resolve, reject) => {
    run.async(...args, (error: unknown) => (error ? reject(error) : resolve()));
  });
}
