import { BoxcarError } from '../errors.ts';
import { isDigest } from './digest.ts';

/** Where an image goes: a repository of a registry, or an OCI image layout directory. */
export type TargetReference =
  | {
      kind: 'registry';
      /** `host[:port]`. */
      registry: string;
      repository: string;
      tag?: string;
      /** Set when the reference was written as a URL. */
      scheme?: 'http' | 'https';
    }
  | { kind: 'layout'; directory: string; tag?: string };

/** distribution-spec, "Pulling manifests": the grammar of repository names and tags. */
const repositoryPattern =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const registryPattern = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;

export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/**
 * Reads `registry[:port]/repository[:tag]` or `oci:DIRECTORY[:tag]`.
 * @throws BoxcarError `usage`, naming the part that is wrong.
 */
export function parseTarget(text: string): TargetReference {
  if (text.startsWith('oci:')) return parseLayout(text);
  const url = /^(https?):\/\/(.*)$/.exec(text);
  const plain = url?.[2] ?? text;
  const slash = plain.indexOf('/');
  const registry = plain.slice(0, Math.max(0, slash));
  const rest = plain.slice(slash + 1).replace(/\/$/, '');
  const colon = rest.lastIndexOf(':');
  const repository = colon < 0 ? rest : rest.slice(0, colon);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (slash < 0) throw malformed(text, 'it has no registry');
  if (rest.includes('@')) throw malformed(text, 'a digest cannot be pushed to; give a tag or nothing');
  if (!registryPattern.test(registry) || !URL.canParse(`https://${registry}`))
    throw malformed(text, `the registry ${JSON.stringify(registry)} is no host[:port]`);
  if (!/[.:]|^localhost$|^\[/.test(registry)) {
    throw malformed(
      text,
      `the registry must be named: ${JSON.stringify(registry)} has neither a dot nor a port`,
    );
  }
  if (!repositoryPattern.test(repository)) {
    throw malformed(
      text,
      `the repository ${JSON.stringify(repository)} may have lower-case letters, digits and ./_- only`,
    );
  }
  return {
    kind: 'registry',
    registry,
    repository,
    ...(tag === undefined ? {} : { tag: checkTag(tag) }),
    ...(url ? { scheme: url[1] as 'http' | 'https' } : {}),
  };
}

/** An image on the target's registry. */
export interface ImageReference {
  /** Absent for the target's own. */
  repository?: string;
  /** Tag or digest. */
  reference: string;
}

/**
 * Reads `registry/repository:tag` or `...@sha256:...`; without anything before the colon or `@` it is in the target's
 * own repository.
 * @throws BoxcarError `usage`, also for another registry than the target's.
 */
export function parseImageReference(text: string, target: TargetReference): ImageReference {
  const [, name = '', digest] = /^([^@]*)(?:@(.*))?$/s.exec(text) ?? [];
  if (digest !== undefined && !isDigest(digest))
    throw noImage(text, `${JSON.stringify(digest)} is no digest`);
  if (name === '' && digest !== undefined) return { reference: digest };
  if (/^:[^/]*$/.test(name) && digest === undefined) return { reference: checkTag(name.slice(1)) };
  const image = parseTarget(name);
  const reference = digest ?? image.tag;
  if (reference === undefined) throw noImage(text, 'it has neither a tag nor a digest');
  if (image.kind === 'layout' || target.kind === 'layout') {
    const same = image.kind === 'layout' && target.kind === 'layout' && image.directory === target.directory;
    if (same) return { reference };
    throw noImage(text, 'layers are reused within one registry, or one directory');
  }
  if (image.registry !== target.registry)
    throw noImage(text, `it is on another registry than the target (${target.registry})`);
  return image.repository === target.repository ? { reference } : { repository: image.repository, reference };
}

/** Reads `repository` or `registry/repository`. @throws BoxcarError `usage`. */
export function parseRepository(text: string, target: TargetReference): string {
  const own = target.kind === 'registry' ? `${target.registry}/` : undefined;
  const path = own && text.startsWith(own) ? text.slice(own.length) : text;
  if (own && repositoryPattern.test(path)) return path;
  throw new BoxcarError(
    own
      ? `not a repository of ${own.slice(0, -1)}: ${JSON.stringify(text)}`
      : 'there is nothing to mount from in a directory',
    { code: 'usage', side: 'local', hint: 'give the repository alone: models/other, for example' },
  );
}

function noImage(text: string, why: string): BoxcarError {
  return new BoxcarError(`not an image to reuse from: ${JSON.stringify(text)}: ${why}`, {
    code: 'usage',
    side: 'local',
    hint: 'write registry/repository:tag on the registry of the target, or :tag for its own repository',
  });
}

/** @throws BoxcarError `usage`. */
export function checkTag(tag: string): string {
  if (isTag(tag)) return tag;
  throw new BoxcarError(`not a tag: ${JSON.stringify(tag)}`, {
    code: 'usage',
    side: 'local',
    hint: 'a tag has 1 to 128 letters, digits, and _ . - after the first',
  });
}

/** The last colon starts a tag, unless what follows could only be a path. */
function parseLayout(text: string): TargetReference {
  if (text.startsWith('oci://'))
    throw malformed(text, 'a registry is named without oci://, a directory with one slash');
  const path = text.slice('oci:'.length);
  const match = /^(.*):([^:/\\]*)$/.exec(path);
  const directory = match?.[1] ?? path;
  if (directory === '') throw malformed(text, 'it has no directory');
  return { kind: 'layout', directory, ...(match ? { tag: checkTag(match[2] ?? '') } : {}) };
}

function malformed(text: string, why: string): BoxcarError {
  // A login in it is not repeated: it is refused because of that, as often as not.
  const shown = (words: string) => words.replace(/[^\s/"@]*:[^\s"@]*@/g, '');
  return new BoxcarError(`not a target: ${JSON.stringify(shown(text))}: ${shown(why)}`, {
    code: 'usage',
    side: 'local',
    hint: 'write registry[:port]/repository[:tag], or oci:DIRECTORY[:tag]',
  });
}
