import type { Digest } from '../oci/digest.ts';
import type { UploadBody } from '../registry/body-cursor.ts';
import type { UploadOptions } from '../registry/upload-options.ts';
import type { Limits } from './policy.ts';

/** Questions about blobs that a target is asked at a time. They are short, and there may be thousands. */
export const questionsAtOnce = 16;

/** Where images are looked for. */
export interface ImageSource {
  /** `registry/repository`, or `oci:DIRECTORY`. */
  readonly name: string;
  manifest(reference: string, signal: AbortSignal): Promise<{ digest: Digest; bytes: Buffer } | undefined>;
  /** The bytes of a blob of at most `limit` bytes; they may be wrong. */
  blob(digest: Digest, limit: number, signal: AbortSignal): Promise<Buffer | undefined>;
  /** `undefined` where they are not to be had. */
  tags(signal: AbortSignal): Promise<string[] | undefined>;
}

/** Where an image is published to: a registry's repository or an image layout directory. */
export interface Target extends ImageSource {
  /** How layers are sent, in words. */
  readonly uploadWords: string;
  /** What it can hold, as far as that is known; after `connect`. */
  readonly limits: Limits;
  imageRef(tag: string): string;
  imageRefDigest(digest: Digest): string;
  /** First contact. @throws BoxcarError at once where there is nothing to talk to. */
  connect(signal: AbortSignal): Promise<void>;
  /** @param size in bytes: a blob of another size is not the one meant. */
  hasBlob(digest: Digest, signal: AbortSignal, size?: number): Promise<boolean>;
  /** Makes a blob of another repository of the same registry one of this; false where that cannot be. */
  mountBlob(digest: Digest, from: string, signal: AbortSignal): Promise<boolean>;
  upload(body: UploadBody, options: UploadOptions): Promise<Digest>;
  /** Gives up an unfinished upload; what fails harms nobody. @returns whether it is gone. */
  cancelUpload(location: string, signal: AbortSignal): Promise<boolean>;
  putBlob(bytes: Buffer, signal: AbortSignal): Promise<void>;
  /**
   * The same images, or those of another repository of the registry, as they are looked at where it can be done without:
   * what fails is given up soon. `forget` gives up the rights that were asked for, where they are refused.
   */
  lookup(path?: string): { source: ImageSource; forget: () => void } | undefined;
  /** Puts a manifest and checks what the target says it stored. */
  putManifest(tag: string, bytes: Buffer, mediaType: string, signal: AbortSignal): Promise<void>;
}
