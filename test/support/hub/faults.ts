import { gzipSync } from 'node:zlib';
import { type Answer, textAnswer } from './answer.ts';
import type { Content } from './content.ts';

/** Everything the hub and its CDN can do wrong. Offsets named `at` are of the file, `after` and `by` of the body. */
export type HubFault =
  /** Another answer altogether. */
  | { kind: 'status'; status: number; headers?: Record<string, string>; body?: string }
  /** The right answer with other header fields. */
  | { kind: 'headers'; headers: Record<string, string> }
  /** The connection is reset before the answer. */
  | { kind: 'reset' }
  /** The connection is reset and the port closed; it listens again after so many ms. */
  | { kind: 'down'; ms: number }
  /** No answer at all, and the connection stays open. */
  | { kind: 'hold' }
  /** Something that is not HTTP. */
  | { kind: 'garbage' }
  /** The connection ends after so many body bytes. `chunked`: the length was not told before. */
  | { kind: 'cut'; after: number; chunked?: boolean }
  /** The body in so many pieces, so many ms apart. */
  | { kind: 'trickle'; pieces: number; everyMs: number }
  /** After the answer, and beyond its Content-Length, the same answer's body once more. */
  | { kind: 'excess' }
  /** The first half of the body, as if it were the whole. */
  | { kind: 'half' }
  /** Nothing more comes after so many body bytes, and the connection stays open. */
  | { kind: 'stall'; after: number }
  /** 200 and the whole file instead of the range asked for. */
  | { kind: 'ignore-range' }
  /** A Content-Range that says something else than what was asked. Default: one byte later. */
  | { kind: 'wrong-content-range'; value?: string }
  /** Fewer or more bytes than promised, with a clean end (chunked, so that HTTP itself sees nothing wrong). */
  | { kind: 'short'; by: number }
  | { kind: 'long'; by: number }
  /** One wrong byte. Spent by the first answer that covers it. */
  | { kind: 'flip'; at: number }
  /** 200 and the whole file, compressed. */
  | { kind: 'gzip' };

/** Whether a fault can have its effect on an answer; otherwise it waits for one where it can. */
export function fits(fault: HubFault, answer: Answer, method: string): boolean {
  const length = method === 'HEAD' ? 0 : answer.to - answer.from;
  switch (fault.kind) {
    case 'cut':
    case 'stall':
      return fault.after < length;
    case 'trickle':
    case 'excess':
    case 'half':
      return length > 1;
    case 'ignore-range':
    case 'wrong-content-range':
      return answer.status === 206;
    case 'flip':
      return answer.file !== undefined && length > 0 && answer.from <= fault.at && fault.at < answer.to;
    case 'short':
      return answer.file !== undefined && fault.by <= length;
    case 'long':
    case 'gzip':
      return answer.file !== undefined && length > 0;
    default:
      return true;
  }
}

/** The answer as the fault leaves it; how the connection ends (reset, cut, stall) is not part of an answer. */
export function spoil(answer: Answer, fault: HubFault | undefined): Answer {
  switch (fault?.kind) {
    case 'status':
      return textAnswer(fault.status, fault.body ?? '', fault.headers);
    case 'headers':
      return { ...answer, headers: { ...answer.headers, ...fault.headers } };
    case 'ignore-range':
      return whole(answer, answer.content);
    case 'wrong-content-range': {
      const { from, to, content } = answer;
      const value = fault.value ?? `bytes ${from + 1}-${to}/${content.size}`;
      return { ...answer, headers: { ...answer.headers, 'content-range': value } };
    }
    case 'cut':
      return fault.chunked ? { ...answer, chunked: true } : answer;
    case 'half':
      return { ...answer, to: answer.from + Math.floor((answer.to - answer.from) / 2) };
    case 'short':
      return { ...answer, to: answer.to - fault.by, chunked: true };
    case 'long':
      return {
        ...answer,
        content: lengthened(answer.content, fault.by),
        to: answer.to + fault.by,
        chunked: true,
      };
    case 'flip':
      return { ...answer, content: flipped(answer.content, fault.at) };
    case 'gzip': {
      const bytes = gzipSync(answer.content.read(0, answer.content.size), { level: 1 });
      const zipped = {
        size: bytes.length,
        read: (from: number, length: number) => bytes.subarray(from, from + length),
      };
      const plain = whole(answer, zipped);
      return { ...plain, headers: { ...plain.headers, 'content-encoding': 'gzip' } };
    }
    default:
      return answer;
  }
}

function whole(answer: Answer, content: Content): Answer {
  const { 'content-range': _range, ...headers } = answer.headers;
  return { ...answer, status: 200, headers, content, from: 0, to: content.size };
}

function lengthened(content: Content, by: number): Content {
  const size = content.size + by;
  const read = (offset: number, length: number): Buffer => {
    const real = Math.max(0, Math.min(length, content.size - offset));
    return Buffer.concat([content.read(offset, real), Buffer.alloc(length - real)]);
  };
  return { size, read };
}

function flipped(content: Content, at: number): Content {
  const read = (offset: number, length: number): Buffer => {
    const bytes = Buffer.from(content.read(offset, length));
    if (offset <= at && at < offset + length) bytes[at - offset] = (bytes[at - offset] as number) ^ 1;
    return bytes;
  };
  return { size: content.size, read };
}
