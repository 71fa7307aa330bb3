import { createHash, randomBytes } from 'node:crypto';
import type { Digest } from '../../src/oci/digest.ts';

export interface Saved {
  location: string;
  offset: number;
}

/** Bytes as an upload takes them: opened anywhere, hashed as a whole. `limit`: fails after so many bytes of one opening. */
export class Body {
  readonly size: number;
  readonly bytes: Buffer;
  readonly opened: number[] = [];
  limit = Number.POSITIVE_INFINITY;
  /** Called before each piece. */
  onPiece: (at: number) => void = () => {};

  constructor(bytes: Buffer = randomBytes(1_000_000)) {
    this.bytes = bytes;
    this.size = bytes.length;
  }

  async *open(from: number): AsyncGenerator<Uint8Array> {
    this.opened.push(from);
    for (let at = from; at < this.size; at += 100_000) {
      this.onPiece(at);
      if (at - from >= this.limit) throw new Error('the hub is gone');
      yield this.bytes.subarray(at, at + 100_000);
    }
  }

  digest(): Digest {
    return `sha256:${createHash('sha256').update(this.bytes).digest('hex')}`;
  }
}
