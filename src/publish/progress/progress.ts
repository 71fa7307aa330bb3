import type { LayerState } from '../../state/state-schema.ts';

/** Where a publish remembers how far it is: a file, or an artifact beside the image. A hint, wherever it is. */
export interface Progress {
  /** Whether only this machine can have written it. */
  readonly trusted: boolean;
  /** By the file's name in the image. */
  layer(name: string): LayerState | undefined;
  /** Remembers; what is kept outside of the process follows soon. */
  set(name: string, layer: LayerState): void;
  /** Keeps what is known of a layer now, where a killed process would lose much of it otherwise. */
  flush(name: string): Promise<void> | void;
  /** Keeps everything now. @throws where it cannot be kept. */
  record(): Promise<void>;
  /** The image is tagged. */
  finish(): Promise<void>;
  /** It is gone already, and not to be written again. */
  forget(): void;
  /** Keeps everything, for a later run. */
  close(): Promise<void>;
}
