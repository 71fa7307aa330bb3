import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { Sha256Engine, Sha256State } from './sha256.ts';
import { type Begun, type Functions, OpensslSha256 } from './sha256-context.ts';
import { type Foreign, Sha256Lanes } from './sha256-lanes.ts';

/** Fewer bytes are hashed sooner than another thread, or a context of another form, is ready for them. */
const worthAThread = 64 * 1024;

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
    const lanes = usefulLanes(functions, () => {
      const run = foreign('void sha256_multi_block(void *context, const void *input, int count)');
      return () => new Sha256Lanes(run, koffi.address);
    });
    return new OpensslEngine(functions, lanes);
  } catch {
    return undefined;
  }
}

type MakeLanes = () => Sha256Lanes;

/** Bytes that a hash is to take. */
interface Part {
  hash: OpensslSha256;
  bytes: Uint8Array;
}

class OpensslEngine implements Sha256Engine {
  readonly name = 'openssl';
  readonly #functions: Functions;
  readonly #makeLanes: MakeLanes | undefined;
  /** On two cores a thread of its own takes from the hub and the registry what it gives (bench/NOTES.md). */
  readonly #elsewhere = availableParallelism() > 2;
  readonly #free: Sha256Lanes[] = [];
  #single: (Part & { done: (hashed?: Promise<void>) => void }) | undefined;

  /** @param makeLanes absent where this processor is not quicker so. */
  constructor(functions: Functions, makeLanes: MakeLanes | undefined) {
    this.#functions = functions;
    this.#makeLanes = makeLanes;
  }

  /** Whether two hashes go through the bytes together. */
  get hasLanes(): boolean {
    return this.#makeLanes !== undefined;
  }

  async create(from?: Sha256State): Promise<OpensslSha256> {
    return new OpensslSha256(this.#functions, from);
  }

  update(hashes: readonly OpensslSha256[], bytes: Uint8Array): Promise<void> | undefined {
    const [one, other] = hashes;
    const makeLanes = this.#makeLanes;
    if (bytes.length < worthAThread || !makeLanes || !one) return this.#apart(hashes, bytes);
    const part = { hash: one, bytes };
    return other
      ? this.#together(makeLanes, [part, { hash: other, bytes }])
      : this.#withAnother(makeLanes, part);
  }

  #together(makeLanes: MakeLanes, parts: [Part, Part]): Promise<void> | undefined {
    const lanes = this.#free.pop() ?? makeLanes();
    const hashed = together(lanes, parts, this.#elsewhere);
    if (hashed) return hashed.then(() => void this.#free.push(lanes));
    this.#free.push(lanes);
    return undefined;
  }

  /** With what another layer brings in this turn of the loop, or alone. */
  #withAnother(makeLanes: MakeLanes, part: Part): Promise<void> | undefined {
    const single = this.#single;
    if (single) {
      this.#single = undefined;
      const hashed = this.#together(makeLanes, [single, part]);
      single.done(hashed);
      return hashed;
    }
    return new Promise((done) => {
      const waiting = { ...part, done };
      this.#single = waiting;
      setImmediate(() => {
        if (this.#single !== waiting) return;
        this.#single = undefined;
        done(this.#apart([part.hash], part.bytes));
      });
    });
  }

  #apart(hashes: readonly OpensslSha256[], bytes: Uint8Array): Promise<void> | undefined {
    const elsewhere = this.#elsewhere && bytes.length >= worthAThread;
    const all = hashes.map((hash) => hash.take(bytes, elsewhere));
    return elsewhere ? Promise.all(all).then(() => {}) : undefined;
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

/** Each takes its bytes, in one pass. */
function together(lanes: Sha256Lanes, parts: [Part, Part], elsewhere: boolean): Promise<void> | undefined {
  const [one, other] = parts.map(({ hash, bytes }) => hash.begin(bytes)) as [Begun, Begun];
  const finish = () => {
    one.finish();
    other.finish();
  };
  const hashed = lanes.update([one, other], elsewhere);
  if (hashed) return hashed.then(finish);
  finish();
  return undefined;
}

/** Lanes, where node's OpenSSL has them, they are right, and quicker than one hash after the other. */
function usefulLanes(functions: Functions, find: () => MakeLanes): MakeLanes | undefined {
  try {
    const makeLanes = find();
    const lanes = makeLanes();
    return areRight(functions, lanes) && areQuicker(functions, lanes) ? makeLanes : undefined;
  } catch {
    return undefined;
  }
}

function areRight(functions: Functions, lanes: Sha256Lanes): boolean {
  const input = Buffer.alloc(1000, 'boxcar');
  const one = new OpensslSha256(functions);
  const other = new OpensslSha256(functions);
  one.update(input.subarray(0, 128));
  other.update(input.subarray(0, 7));
  together(
    lanes,
    [
      { hash: one, bytes: input },
      { hash: other, bytes: input },
    ],
    false,
  );
  const right = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest('hex');
  return (
    one.digest() === right(input.subarray(0, 128), input) &&
    other.digest() === right(input.subarray(0, 7), input)
  );
}

/** Without instructions for SHA-256, lanes that nobody fills cost as much as the others. */
function areQuicker(functions: Functions, lanes: Sha256Lanes): boolean {
  // Long enough for calls that are made for the first time.
  const bytes = Buffer.alloc(4 * worthAThread);
  const hashes = [new OpensslSha256(functions), new OpensslSha256(functions)] as const;
  const best = (work: () => void) => {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 4; i++) {
      const start = performance.now();
      work();
      least = Math.min(least, performance.now() - start);
    }
    return least;
  };
  const [one, other] = hashes;
  const inOnePass = best(() =>
    together(
      lanes,
      [
        { hash: one, bytes },
        { hash: other, bytes },
      ],
      false,
    ),
  );
  return inOnePass < best(() => hashes.map((hash) => hash.update(bytes)));
}
