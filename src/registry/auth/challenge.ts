/** What a registry asks for in `WWW-Authenticate`. */
export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  scheme: string;
  /** Names in lower case. */
  parameters: Record<string, string>;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/** A parameter, or a scheme (a word that no `=` follows): RFC 9110 sections 11.2 and 11.6.1. */
const part = new RegExp(
  `(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))|(${token})(?=\\s|,|$)`,
  'g',
);
/** No honest registry sends more than this many characters. */
const longest = 16 * 1024;

/** The challenges of a `WWW-Authenticate` header, in its order; what cannot be read is left out. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  for (const [, name, quoted, plain, scheme] of header.slice(0, longest).matchAll(part)) {
    if (scheme) challenges.push({ scheme: scheme.toLowerCase(), parameters: Object.create(null) });
    const challenge = challenges.at(-1);
    if (name && challenge)
      challenge.parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '';
  }
  return challenges;
}
