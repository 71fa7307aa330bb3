import { BoxcarError } from '../../errors.ts';
import { readStateArtifact } from '../../formats/state-artifact.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { type Digest, digestOf } from '../../oci/digest.ts';
import { parseState } from '../../state/read-state.ts';
import type { PublishState } from '../../state/state-schema.ts';
import type { ImageSource } from '../target.ts';

/** A repository that can hold the state of a publish beside its image. */
export interface StateStore extends ImageSource {
  readonly origin: string;
  hasBlob(digest: Digest, signal: AbortSignal): Promise<boolean>;
  putBlob(bytes: Buffer, signal: AbortSignal): Promise<void>;
  putManifest(tag: string, bytes: Buffer, mediaType: string, signal: AbortSignal): Promise<void>;
  /** By tag or digest. @returns whether it is gone. */
  deleteManifest(reference: string, signal: AbortSignal): Promise<boolean>;
}

/** Bytes of a state; one of 200,000 files has less. */
const stateLimit = 64 * 1024 * 1024;

/** A state as it is kept, with its session URLs as they are. */
export interface KeptState {
  state: PublishState;
  /** ms since 1970. */
  writtenAt: number;
  /** The finished layers that it keeps from being collected. */
  held: Descriptor[];
}

/** Why what is under a state's tag cannot be used. `writtenAt` where it is a state, and not something else. */
export interface StateFault {
  fault: string;
  writtenAt?: number;
}

/** The state under a tag, or why there is none that can be read; `undefined` where there is nothing, or nothing more. */
export async function readState(
  store: StateStore,
  tag: string,
  signal: AbortSignal,
): Promise<KeptState | StateFault | undefined> {
  const manifest = await store.manifest(tag, signal);
  if (!manifest) return undefined;
  const artifact = readStateArtifact(manifest.bytes);
  if (!artifact) return { fault: 'is not the state of a publish' };
  const { config, writtenAt, held, isOver } = artifact;
  if (isOver) return undefined;
  const text = config.size <= stateLimit ? await contentOf(store, config.digest, signal) : undefined;
  if (!text || digestOf(text) !== config.digest) return { fault: 'has lost its content', writtenAt };
  const state = parseState(text.toString('utf8'));
  return 'fault' in state ? { fault: state.fault, writtenAt } : { state, writtenAt, held };
}

/** `undefined` also for a blob that is longer than any state. */
async function contentOf(
  store: StateStore,
  digest: Digest,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  try {
    return await store.blob(digest, stateLimit, signal);
  } catch (error) {
    if (!(error instanceof BoxcarError) || error.request?.status !== 200 || error.transient) throw error;
    return undefined;
  }
}
