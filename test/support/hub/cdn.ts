import { createHmac, randomBytes } from 'node:crypto';
import { type Answer, fileAnswer, textAnswer } from './answer.ts';
import type { StoredFile } from './model.ts';

/** Issues URLs that are valid for a while, by signature alone, as a CDN's are. */
export interface SignedUrls {
  /** The path with its expiry and signature. */
  issue(path: string): string;
  valid(url: URL): boolean;
  /** Every URL issued so far is refused from now on. */
  expire(): void;
}

export function createSignedUrls(lifetimeMs: number): SignedUrls {
  let secret = randomBytes(16);
  const sign = (path: string, expires: number): string =>
    createHmac('sha256', secret).update(`${path} ${expires}`).digest('hex');
  return {
    issue(path) {
      const expires = Date.now() + lifetimeMs;
      return `${path}?Expires=${expires}&Signature=${sign(path, expires)}`;
    },
    valid(url) {
      const expires = Number(url.searchParams.get('Expires'));
      return expires > Date.now() && url.searchParams.get('Signature') === sign(url.pathname, expires);
    },
    expire() {
      secret = randomBytes(16);
    },
  };
}

/** The bytes, without ETag and in any range, to whoever holds a valid URL and nothing else. */
export function cdnAnswer(
  url: URL,
  file: StoredFile | undefined,
  signedUrls: SignedUrls,
  range?: string,
): Answer {
  if (!file || !signedUrls.valid(url)) {
    const body = '<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>';
    return textAnswer(403, body, { 'content-type': 'application/xml' });
  }
  return fileAnswer(file.path, file.content, range);
}

/** What a client of the CDN must not do: the first two betray a secret, the third invites a compressed body. */
export function violationsOf(headers: Record<string, string>): string[] {
  const violations: string[] = [];
  if (headers.authorization !== undefined) violations.push('authorization');
  if (headers.cookie !== undefined) violations.push('cookie');
  if (/\bgzip\b|\*/.test(headers['accept-encoding'] ?? '')) violations.push('gzip');
  return violations;
}
