/** The secrets that requests of this process went with, the newest last, in every form in which they may be written. */
const known = new Map<string, readonly string[]>();
/** All forms, the longest first: one may hold another. Made when it is asked for. */
let forms: readonly string[] | undefined;
/** A long push replaces its token every few minutes. Those in use stay, for each use makes them the newest. */
const most = 100;

/** A shorter secret is also an ordinary word: taken out of our own words it would be told by the gap. */
export const ownWords = 8;
const serverWords = 4;

/** From now on this is never shown. */
export function keepSecret(secret: string, username?: string): void {
  if (secret.length < serverWords) return;
  const written = known.get(secret);
  known.delete(secret);
  known.set(secret, written ?? formsOf(secret, username));
  if (!written) forms = undefined;
  for (const oldest of known.keys()) {
    if (known.size <= most) return;
    known.delete(oldest);
  }
}

/** Keeps what an Authorization field says: the token, or user name and password together and the password alone. */
export function keepAuthorization(value: string): void {
  const [scheme, secret = ''] = value.split(' ');
  keepSecret(secret);
  if (scheme?.toLowerCase() !== 'basic') return;
  const pair = Buffer.from(secret, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  if (colon >= 0) keepSecret(pair.slice(colon + 1), pair.slice(0, colon));
}

/**
 * A text with `***` for every secret that was kept, in whatever form a server may have written it. What a server has
 * disguised on purpose stays: it could as well keep it.
 * @param shortest shorter secrets are left: see {@link ownWords}.
 */
export function withoutSecrets(text: string, shortest = serverWords): string {
  forms ??= longestFirst(new Set([...known.values()].flat()));
  return replaced(
    text,
    forms.filter((form) => form.length >= shortest),
  );
}

/** `***` for each of them. */
export function blanked(text: string, words: Iterable<string>): string {
  return replaced(text, longestFirst(words));
}

function longestFirst(words: Iterable<string>): string[] {
  return [...words].sort((a, b) => b.length - a.length);
}

function replaced(text: string, words: readonly string[]): string {
  let clean = text;
  for (const word of words) clean = clean.replaceAll(word, '***');
  return clean;
}

/** As it is, in JSON, in HTML, in a URL and a form, and in base64, alone and as the pair of Basic credentials. */
function formsOf(secret: string, username: string | undefined): string[] {
  const pair = username === undefined ? [] : [base64(`${username}:${secret}`)];
  const plain = [secret, JSON.stringify(secret).slice(1, -1), escaped(secret), base64(secret), ...pair];
  return plain.flatMap((form) => {
    const inUrl = encodeURIComponent(form);
    const inForm = new URLSearchParams({ '': form }).toString().slice(1);
    const lower = (text: string) => text.replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase());
    return [form, inUrl, inForm, lower(inUrl), lower(inForm)];
  });
}

/** Without the padding, which some leave out: the letters before it do as well. */
function base64(text: string): string {
  return Buffer.from(text).toString('base64').replace(/=+$/, '');
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
