/** Bytes of a piece: what arrives in TLS records of 16 KiB costs less to hash and send when gathered. */
export const pieceSize = 1024 * 1024;

/**
 * Buffers of {@link pieceSize} that are used again: allocating each anew costs as much as sending it, and memory grows
 * faster than the garbage collector looks.
 */
export class PiecePool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(pieceSize);
  }

  /** Gives a buffer back that nobody reads any more. */
  give(buffer: Buffer): void {
    this.#free.push(buffer);
  }
}
