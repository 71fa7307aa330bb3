import { createSHA256, type IHasher } from 'hash-wasm';
import type { Sha256, Sha256Engine, Sha256State } from './sha256.ts';

/**
 * What hash-wasm's `save()` holds: 4 bytes that name the algorithm, then its C struct: the 64-byte block buffer, the
 * length in bytes (64 bits), the chain values (8 words), the digest's length; little-endian.
 */
const lengthAt = 68;
const chainAt = 76;

/** SHA-256 in WebAssembly: works everywhere. */
export function wasmEngine(): Sha256Engine {
  return {
    name: 'wasm',
    async create(from) {
      const hasher = await createSHA256();
      hasher.init();
      if (from) hasher.load(stateOf(hasher, from));
      return new WasmSha256(hasher, from?.bytes ?? 0);
    },
    update(hashes, bytes) {
      for (const hash of hashes) hash.update(bytes);
      return undefined;
    },
  };
}

class WasmSha256 implements Sha256 {
  readonly #hasher: IHasher;
  #bytes: number;

  constructor(hasher: IHasher, bytes: number) {
    this.#hasher = hasher;
    this.#bytes = bytes;
  }

  update(bytes: Uint8Array): void {
    this.#hasher.update(bytes);
    this.#bytes += bytes.length;
  }

  save(): Sha256State {
    const saved = viewOf(this.#hasher.save());
    let chain = '';
    for (let i = 0; i < 8; i++)
      chain += saved
        .getUint32(chainAt + 4 * i, true)
        .toString(16)
        .padStart(8, '0');
    return { bytes: this.#bytes, chain };
  }

  digest(): string {
    return this.#hasher.digest('hex');
  }
}

function stateOf(fresh: IHasher, { bytes, chain }: Sha256State): Uint8Array {
  const state = fresh.save();
  const view = viewOf(state);
  view.setBigUint64(lengthAt, BigInt(bytes), true);
  for (let i = 0; i < 8; i++) {
    view.setUint32(chainAt + 4 * i, Number.parseInt(chain.slice(8 * i, 8 * i + 8), 16), true);
  }
  return state;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
