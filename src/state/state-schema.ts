import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { ContentId } from '../digest/content-id.ts';
import type { Digest } from '../oci/digest.ts';

/** What is remembered of one layer. Described in state-schema/v1.json. */
export interface LayerState {
  contentId: ContentId;
  /** Bytes of the whole layer. */
  size: number;
  /** Present when the layer is in the target. */
  digest?: Digest;
  /** `digest`: of the finished layer. Its closing request may have been sent, and the layer be in the target. */
  upload?: { location: string; offset: number; digest?: Digest };
  checkpoints?: { offset: number; layer: string; content?: string }[];
}

/** Which publish a state belongs to. */
export interface StateIdentity {
  model: string;
  commit: string;
  /** `registry/repository`, or `oci:DIRECTORY`. */
  target: string;
}

/** A state file's content. */
export interface PublishState extends StateIdentity {
  version: 1;
  layers: Record<string, LayerState>;
}

let validate: ValidateFunction<PublishState> | undefined;

/** Why `value` is no state of version 1; `undefined` when it is one. */
export function stateFault(value: unknown): string | undefined {
  if (!validate) {
    const schema = readFileSync(new URL('../../state-schema/v1.json', import.meta.url), 'utf8');
    validate = new Ajv2020().compile<PublishState>(JSON.parse(schema));
  }
  if (validate(value)) return undefined;
  const [first] = validate.errors ?? [];
  return `${first?.instancePath || 'it'} ${first?.message ?? 'is wrong'}`;
}
