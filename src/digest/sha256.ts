import { opensslEngine } from './sha256-openssl.ts';
import { wasmEngine } from './sha256-wasm.ts';

/**
 * A SHA-256 as it stands after `bytes` bytes, a multiple of 64: the eight chain values (FIPS 180-4 section 6.2) are
 * then all there is to know, so that one engine can go on where another stopped.
 */
export interface Sha256State {
  bytes: number;
  /** Chain values as 64 hex digits, big-endian words. */
  chain: string;
}

/** A SHA-256 that can be saved and restored. */
export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** The state now. Only at a multiple of 64 bytes. */
  save(): Sha256State;
  /** The digest as hex. The hash takes no more bytes afterwards. */
  digest(): string;
}

export interface Sha256Engine {
  /** `openssl` runs at native speed, `wasm` at about a fifth of it. */
  name: 'openssl' | 'wasm';
  create(from?: Sha256State): Promise<Sha256>;
  /**
   * Gives the same bytes to several hashes of this engine: in one pass, and on another thread, where that is worth it.
   * @returns a promise where it takes longer: neither bytes nor hashes may be touched before it is fulfilled.
   */
  update(hashes: readonly Sha256[], bytes: Uint8Array): Promise<void> | undefined;
}

let loaded: Promise<Sha256Engine> | undefined;

/** The fastest engine that works on this machine, loaded once a process. `BOXCAR_SHA256=wasm` forbids the native one. */
export function sha256Engine(): Promise<Sha256Engine> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Sha256Engine> {
  const native = process.env.BOXCAR_SHA256 === 'wasm' ? undefined : await opensslEngine();
  return native ?? wasmEngine();
}
