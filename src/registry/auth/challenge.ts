/** What a registry asks for in `WWW-Authenticate`. */
export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  scheme: string;
  /** Names in lower case. */
  parameters: Record<string, string>;
}

/** The parts of RFC 9110 section 11.6.1, each matched where the reader stands; none goes over its part twice. */
const separators = /[\s,]+/y;
const word = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const equals = /\s*=\s*/y;
const quoted = /"((?:[^"\\]|\\.)*)"/sy;
/** Not a token only: some servers leave the quotes of a URL out. */
const bare = /[^\s,"]+/y;
const endOfScheme = /(?=[\s,]|$)/y;

/**
 * The challenges of a `WWW-Authenticate` header, or of several, in their order. What cannot be read is left out: a server
 * may offer schemes that nobody here knows (Negotiate with its token68) beside one that will do.
 */
export function parseChallenges(header: string | readonly string[]): Challenge[] {
  const text = typeof header === 'string' ? header : header.join(', ');
  const challenges: Challenge[] = [];
  let at = 0;
  const take = (part: RegExp): RegExpExecArray | null => {
    part.lastIndex = at;
    const match = part.exec(text);
    if (match) at = part.lastIndex;
    return match;
  };

  while (at < text.length) {
    if (take(separators)) continue;
    const name = take(word)?.[0].toLowerCase();
    if (name === undefined) {
      at += 1;
    } else if (take(equals)) {
      const value = take(quoted)?.[1]?.replace(/\\(.)/gs, '$1') ?? take(bare)?.[0];
      // A quote that is never closed: where the value ends, and what follows it, is anyone's guess.
      if (value === undefined && text[at] === '"') break;
      const parameters = challenges.at(-1)?.parameters;
      if (parameters) parameters[name] ??= value ?? '';
    } else if (take(endOfScheme)) {
      challenges.push({ scheme: name, parameters: Object.create(null) });
    }
  }
  return challenges;
}
