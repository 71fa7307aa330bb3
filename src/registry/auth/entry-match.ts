/** A key of `auths` or `credHelpers` as it is written, and what it stands for. */
export interface Entry<T> {
  key: string;
  value: T;
}

/**
 * The entry whose key is the longest prefix of `registry/repository`, segment by segment: most specific first, and at
 * each step a key that is written just so before one that means the same (containers-auth.json(5), and containers/image,
 * findCredentialsInFile). An empty repository asks for the registry alone.
 */
export function bestEntry<T>(
  entries: ReadonlyMap<string, T>,
  registry: string,
  repository = '',
): Entry<T> | undefined {
  const alike = new Map([...entries.keys()].map((key) => [canonical(key), key]));
  const path = repository === '' ? [] : repository.split('/');
  for (let length = path.length; length >= 0; length--) {
    const rest = path.slice(0, length).map((segment) => `/${segment}`);
    const written = [registry, ...rest].join('');
    const key = entries.has(written) ? written : alike.get(canonical(written));
    if (key !== undefined) return { key, value: entries.get(key) as T };
  }
  return undefined;
}

/** Whether a registry is Docker Hub, by any of its names. */
export function isDockerHub(registry: string): boolean {
  return canonical(registry) === 'docker.io';
}

/**
 * Old tools wrote URLs of the API (`https://registry.acme.com/v2/`, and for Docker Hub `https://index.docker.io/v1/` to this
 * day), and every tool its own name of Docker Hub (docker/cli, ConvertToHostname; containers/image, normalizeAuthFileKey).
 */
function canonical(key: string): string {
  const name = key.replace(/^https?:\/\//i, '').replace(/\/+$/, '');
  const slash = name.indexOf('/');
  const host = (slash < 0 ? name : name.slice(0, slash)).toLowerCase();
  const path = slash < 0 ? '' : name.slice(slash);
  const hub = /^(index|registry-1)\.docker\.io$|^registry\.hub\.docker\.com$/.test(host);
  return (hub ? 'docker.io' : host) + (/^\/v[12]$/.test(path) ? '' : path);
}
