/** Header fields by lower-case name; several where one was sent more than once. */
export type Headers = Record<string, string | string[] | undefined>;

/** RFC 9110 section 5.6.2. */
const token = /^[!#$%&'*+.^_`|~\w-]+$/;
/** RFC 9110 section 5.5: no control characters but the tab. What is no byte would become another one on the wire. */
const value = /^[\t\x20-\x7e\x80-\xff]*$/;

/** The head of an answer (RFC 9112). */
export interface AnswerHead {
  status: number;
  /** Lower-case names, as undici gives them. */
  headers: Headers;
  /** Bytes of the body; `undefined` where it ends otherwise, or there may be none. */
  length: number | undefined;
  /** Whether the connection may be used again. */
  keepsOpen: boolean;
}

/** The head of a GET; `undefined` where a header would not be one line of its own. */
export function requestHead(url: URL, headers: Record<string, string>): string | undefined {
  const all = Object.entries({ host: url.host, connection: 'keep-alive', ...headers });
  if (!all.every(([name, text]) => token.test(name) && value.test(text))) return undefined;
  const lines = all.map(([name, text]) => `${name}: ${text}\r\n`);
  return `GET ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** @param text up to the empty line. @returns `undefined` for what is no head of HTTP/1.1, to the letter. */
export function parseAnswerHead(text: string): AnswerHead | undefined {
  const [first = '', ...lines] = text.split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})(?: |$)/.exec(first)?.[1]);
  if (!status || !value.test(first)) return undefined;
  const headers: Headers = Object.create(null);
  for (const line of lines) {
    const [, name, text] = /^([^:]*):[\t ]*(.*?)[\t ]*$/s.exec(line) ?? [];
    if (name === undefined || text === undefined || !token.test(name) || !value.test(text)) return undefined;
    const before = headers[name.toLowerCase()];
    headers[name.toLowerCase()] = before === undefined ? text : [before, text].flat();
  }
  const closes = /(^|,)[\t ]*close[\t ]*(,|$)/i.test(String(headers.connection ?? ''));
  return { status, headers, length: lengthOf(status, headers), keepsOpen: !closes };
}

/** RFC 9112 section 6.3. More than one length, be they the same, is as good as none: others may have read another. */
function lengthOf(status: number, headers: Headers): number | undefined {
  const length = headers['content-length'];
  if (status < 200 || status === 204 || status === 304) return undefined;
  if (headers['transfer-encoding'] !== undefined || typeof length !== 'string') return undefined;
  return /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}
