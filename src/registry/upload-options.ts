import type { RetryNotice } from '../http/retry.ts';
import type { Digest } from '../oci/digest.ts';

/** An unfinished upload, as it is kept across processes. */
export interface SavedUpload {
  location: string;
  /** Bytes that the registry is known to hold. */
  offset: number;
  /** Of the whole blob, once it is to be closed: from then on it may be there although the session is gone. */
  digest?: Digest;
}

export interface UploadOptions {
  saved?: SavedUpload | undefined;
  /**
   * Called after every answer that changes what must be remembered; `undefined` when the session is gone. What it
   * returns is waited for where a killed process would lose the session: before its first byte, and before it is closed.
   */
  onSaved?: (saved: SavedUpload | undefined) => Promise<void> | undefined | void;
  /** Bytes of the body handed over so far, seen from the registry's offset. */
  onOffset?: (offset: number) => void;
  onRetry?: (notice: RetryNotice) => void;
  /** Ends the upload cleanly at the next byte; the session stays. */
  stop: AbortSignal;
  /** Ends everything at once. */
  kill: AbortSignal;
}
