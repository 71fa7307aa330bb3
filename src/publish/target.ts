import type { Digest } from '../oci/digest.ts';
import type { UploadBody } from '../registry/body-cursor.ts';
import type { UploadOptions } from '../registry/upload.ts';
import type { Limits } from './policy.ts';

/** Where an image is published to: a registry's repository or an image layout directory. */
export interface Target {
  /** `registry/repository`, or `oci:DIRECTORY`. */
  readonly name: string;
  /** How layers are sent, in words. */
  readonly uploadWords: string;
  /** What it can hold, as far as that is known; after `connect`. */
  readonly limits: Limits;
  imageRef(tag: string): string;
  imageRefDigest(digest: Digest): string;
  /** First contact. @throws BoxcarError at once where there is nothing to talk to. */
  connect(signal: AbortSignal): Promise<void>;
  hasBlob(digest: Digest, signal: AbortSignal): Promise<boolean>;
  upload(body: UploadBody, options: UploadOptions): Promise<Digest>;
  putBlob(bytes: Buffer, signal: AbortSignal): Promise<void>;
  manifest(reference: string, signal: AbortSignal): Promise<{ digest: Digest; bytes: Buffer } | undefined>;
  /** Puts a manifest and checks what the target says it stored. */
  putManifest(tag: string, bytes: Buffer, mediaType: string, signal: AbortSignal): Promise<void>;
}
