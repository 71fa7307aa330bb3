import { type Content, contentOf } from './content.ts';

/** What a server means to say, before faults and before it is sent: bytes `from` (inclusive) to `to` (exclusive) of a content. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  content: Content;
  from: number;
  to: number;
  /** Path of the model's file whose bytes these are. */
  file?: string;
  /** Send no Content-Length. */
  chunked?: boolean;
}

export function textAnswer(status: number, text: string, headers: Record<string, string> = {}): Answer {
  const content = contentOf(text);
  const type = { 'content-type': 'text/plain; charset=utf-8' };
  return { status, headers: { ...type, ...headers }, content, from: 0, to: content.size };
}

export function jsonAnswer(value: unknown, headers: Record<string, string> = {}, status = 200): Answer {
  return textAnswer(status, JSON.stringify(value), {
    'content-type': 'application/json; charset=utf-8',
    ...headers,
  });
}

/** An error as the hub words it: JSON from its API, plain text from resolve, and the same message in a header. */
export function errorAnswer(status: number, message: string, code?: string, asText = false): Answer {
  const headers: Record<string, string> = { 'x-error-message': message };
  if (code !== undefined) headers['x-error-code'] = code;
  if (status === 401) headers['www-authenticate'] = 'Bearer realm="Authentication required", charset="UTF-8"';
  return asText ? textAnswer(status, message, headers) : jsonAnswer({ error: message }, headers, status);
}

/** A file, or the part of it that a Range field asks for (RFC 9110, 14.2). Several ranges at once get the whole. */
export function fileAnswer(
  file: string,
  content: Content,
  range: string | undefined,
  fields: Record<string, string> = {},
): Answer {
  const headers = { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes', ...fields };
  const { size } = content;
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) {
    return { status: 200, headers, content, from: 0, to: size, file };
  }
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (from >= to)
    return textAnswer(416, 'Requested Range Not Satisfiable', { 'content-range': `bytes */${size}` });
  const contentRange = { 'content-range': `bytes ${from}-${to - 1}/${size}` };
  return { status: 206, headers: { ...headers, ...contentRange }, content, from, to, file };
}
