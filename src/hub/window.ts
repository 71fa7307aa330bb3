import { BoxcarError } from '../errors.ts';
import type { ByteSink } from '../http/byte-socket.ts';
import { type HttpResponse, header } from '../http/client.ts';
import { Patience, type PatienceOptions } from '../http/retry.ts';
import { type FileLocation, listedOtherwise } from './file-location.ts';
import type { ModelFile } from './model-file.ts';

/** Fewer bytes than that are no progress: what always breaks off after a few would never be given up. */
const leastProgress = 64 * 1024;
/** A range that was ignored is asked for so many times more: reading from the file's start instead may cost all of it. */
const rangesInsistedOn = 2;

/** A server that answers a range with the whole file: it can be read from its start only. */
export class RangeIgnored extends Error {
  readonly #answer: HttpResponse;

  constructor(answer: HttpResponse) {
    super('the range was ignored');
    this.#answer = answer;
  }

  /** When even that was cut: worth another try from the start. */
  asFailure(): BoxcarError {
    return oddAnswer(
      this.#answer,
      'it is the whole file, so that a cut transfer starts from its first byte again',
    );
  }
}

/** How a window is read. */
export interface WindowOptions {
  patience: PatienceOptions;
  /** Told of every byte that came over the wire. */
  onRead: (bytes: number) => void;
  signal: AbortSignal;
}

/**
 * Bytes `from` to `to` (exclusive) of a file, reopened at the byte reached whenever the hub fails
 * (rclone's fs/operations/reopen.go has the idea).
 * @param sink gives the memory that is read into; a promise that it returns holds the hub back.
 * @throws BoxcarError when patience has run out, or the file is not as long as listed; RangeIgnored.
 */
export async function readWindow(
  location: FileLocation,
  file: ModelFile,
  from: number,
  to: number,
  { patience: options, onRead, signal }: WindowOptions,
  sink: ByteSink,
): Promise<void> {
  const patience = new Patience(options);
  let at = from;
  let progressAt = from;
  let ignored = 0;
  while (at < to) {
    try {
      const answer = await location.get(at, to, signal);
      const fault = faultOf(answer, file, at);
      if (fault) {
        await answer.discard();
        if (
          fault instanceof RangeIgnored &&
          ignored < rangesInsistedOn &&
          patience.failures < options.limit
        ) {
          ignored += 1;
          throw fault.asFailure();
        }
        throw fault;
      }
      await answer.into({
        // More than was asked for: what is needed is here, the rest is not waited for.
        room: () => (at < to ? sink.room()?.subarray(0, to - at) : undefined),
        took(bytes) {
          onRead(bytes);
          at += bytes;
          if (at - progressAt >= leastProgress) {
            progressAt = at;
            patience.progress();
          }
          return sink.took(bytes);
        },
      });
      if (at < to) throw endedEarly(answer, file, at);
    } catch (error) {
      if (at < to) await patience.wait(error, signal);
    }
  }
}

function faultOf(answer: HttpResponse, file: ModelFile, from: number): Error | undefined {
  const { path, size } = file;
  if (answer.status === 416) return listedOtherwise(path, `it ends before byte ${from} of ${size}`, answer);
  const encoding = header(answer.headers, 'content-encoding');
  if (encoding && encoding !== 'identity') return oddAnswer(answer, `it is ${encoding}-encoded, unasked`);
  if (answer.status === 200) {
    const length = header(answer.headers, 'content-length');
    if (length !== undefined && Number(length) !== size) {
      return listedOtherwise(path, `it has ${length} bytes instead of ${size}`, answer);
    }
    return from === 0 ? undefined : new RangeIgnored(answer);
  }
  // RFC 9110 section 14.4.
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header(answer.headers, 'content-range') ?? '');
  if (!range || Number(range[1]) !== from) {
    return oddAnswer(
      answer,
      `Content-Range is ${header(answer.headers, 'content-range') ?? 'missing'}, not from ${from}`,
    );
  }
  if (range[3] !== '*' && Number(range[3]) !== size) {
    return listedOtherwise(path, `it has ${range[3]} bytes instead of ${size}`, answer);
  }
  return undefined;
}

function endedEarly(answer: HttpResponse, file: ModelFile, at: number): BoxcarError {
  const whole = answer.status === 200;
  return new BoxcarError(`the hub's answer ended at byte ${at} of ${file.size} of ${file.path}`, {
    code: 'hub-failed',
    side: 'hub',
    request: answer.facts,
    transient: true,
    ...(whole ? { hint: 'does it serve the file in full when asked again?' } : {}),
  });
}

function oddAnswer(answer: HttpResponse, what: string): BoxcarError {
  return new BoxcarError(`the hub answered a range with something else: ${what}`, {
    code: 'hub-failed',
    side: 'hub',
    request: answer.facts,
    transient: true,
  });
}
