import { readStateArtifact } from '../formats/state-artifact.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import { parseState } from '../state/read-state.ts';
import type { PublishState } from '../state/state-schema.ts';
import type { ImageSource } from './target.ts';

/** A repository that can hold the state of a publish beside its image. */
export interface StateStore extends ImageSource {
  readonly origin: string;
  putBlob(bytes: Buffer, signal: AbortSignal): Promise<void>;
  putManifest(tag: string, bytes: Buffer, mediaType: string, signal: AbortSignal): Promise<void>;
  /** By tag or digest. @returns whether it is gone. */
  deleteManifest(reference: string, signal: AbortSignal): Promise<boolean>;
}

/** Bytes of a state; one of 200,000 files has less. */
const stateLimit = 64 * 1024 * 1024;

/** The state under a tag, with its session URLs as they are kept; or why there is none that can be read. */
export async function readState(
  store: StateStore,
  tag: string,
  signal: AbortSignal,
): Promise<{ state: PublishState; writtenAt: number; digest: Digest } | { fault: string } | undefined> {
  const manifest = await store.manifest(tag, signal);
  if (!manifest) return undefined;
  const artifact = readStateArtifact(manifest.bytes);
  if (!artifact) return { fault: 'is not the state of a publish' };
  const text = await store.blob(artifact.config.digest, stateLimit, signal);
  if (!text || digestOf(text) !== artifact.config.digest) return { fault: 'has lost its content' };
  const state = parseState(text.toString('utf8'));
  return 'fault' in state ? state : { state, writtenAt: artifact.writtenAt, digest: manifest.digest };
}
