/** One entry of a tar archive as its header block says, read by the positions of POSIX ustar and nothing else. */
export interface Entry {
  type: string;
  name: string;
  prefix: string;
  /** As written, with its terminators. */
  mode: string;
  uid: string;
  gid: string;
  /** As written; hex where it is base-256. */
  size: string;
  mtime: string;
  magic: string;
  /** Of an `x` entry: its records. */
  pax?: string;
}

/** Entries of an archive that ends with a file's header: `size` is skipped for PAX records alone. */
export function decodeHeaders(archive: Uint8Array): Entry[] {
  const bytes = Buffer.from(archive);
  const entries: Entry[] = [];
  for (let at = 0; at < bytes.length; at += 512) {
    const block = bytes.subarray(at, at + 512);
    checkSum(block, at);
    const text = (from: number, to: number): string => block.toString('latin1', from, to);
    const upToNul = (from: number, to: number): string => text(from, to).replace(/\0.*$/s, '');
    const entry: Entry = {
      type: text(156, 157),
      name: upToNul(0, 100),
      prefix: upToNul(345, 500),
      mode: text(100, 108),
      uid: text(108, 116),
      gid: text(116, 124),
      size: block[124] === 0x80 ? block.toString('hex', 124, 136) : text(124, 136),
      mtime: text(136, 148),
      magic: text(257, 265),
    };
    if (entry.type === 'x') {
      const length = Number.parseInt(entry.size, 8);
      entry.pax = bytes.toString('utf8', at + 512, at + 512 + length);
      at += Math.ceil(length / 512) * 512;
    }
    entries.push(entry);
  }
  return entries;
}

/** The sum of the block's bytes, its own field taken as spaces. */
function checkSum(block: Buffer, at: number): void {
  const sum = block.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
  const written = Number.parseInt(block.toString('latin1', 148, 156), 8);
  if (sum !== written) throw new Error(`the header at ${at} has check sum ${written}, not ${sum}`);
}
