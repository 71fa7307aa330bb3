/** No registry asks for more in one push; a hostile one must not make requests grow without end. */
const most = 16;

/** What an access token is to be good for (distribution, spec/auth/scope): `repository:<name>:pull,push`. */
export class Scopes {
  #scopes: string[];

  constructor(first: string) {
    this.#scopes = [first];
  }

  list(): string[] {
    return [...this.#scopes];
  }

  /** @returns whether that changed anything. */
  reset(scopes: string[]): boolean {
    const changed = scopes.join(' ') !== this.#scopes.join(' ');
    this.#scopes = [...scopes];
    return changed;
  }

  /**
   * Adds what is not covered yet.
   * @param urgent puts it first: some token servers look at the first scope only (go-containerregistry, bearer.go).
   * @returns whether there was anything to add.
   */
  add(scopes: string[], urgent = false): boolean {
    const missing = scopes.filter((scope) => /^[\x21-\x7e]{1,512}$/.test(scope) && !this.#cover(scope));
    const room = missing.slice(0, most - this.#scopes.length);
    this.#scopes = urgent ? [...room, ...this.#scopes] : [...this.#scopes, ...room];
    return room.length > 0;
  }

  #cover(scope: string): boolean {
    const [type, name, actions] = split(scope);
    return this.#scopes.map(split).some(([ourType, ourName, ours]) => {
      return type === ourType && name === ourName && actions.every((action) => ours.includes(action));
    });
  }
}

/** `repository:host:5000/name:pull,push` -> type, name, actions: names may hold colons. */
function split(scope: string): [type: string, name: string, actions: string[]] {
  const first = scope.indexOf(':');
  const last = scope.lastIndexOf(':');
  return [scope.slice(0, first), scope.slice(first + 1, last), scope.slice(last + 1).split(',')];
}
