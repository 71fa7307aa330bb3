import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { ValidateFunction } from 'ajv/dist/2020.js';
import type { ContentId } from '../digest/content-id.ts';
import type { Digest } from '../oci/digest.ts';

/** An unfinished upload. */
export interface SavedUpload {
  location: string;
  offset: number;
  /** Of the finished layer. Its closing request may have been sent, and the layer be in the target. */
  digest?: Digest;
  /** When the session was opened, ISO 8601. */
  began?: string;
}

/** What is remembered of one layer. Described in state-schema/v2.json. */
export interface LayerState {
  contentId: ContentId;
  /** Bytes of the whole layer. */
  size: number;
  /** Present when the layer is in the target. */
  digest?: Digest;
  upload?: SavedUpload;
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
  version: 2;
  layers: Record<string, LayerState>;
}

/** The version that is written. Those before it have nothing that it has not. */
export const stateVersion = 2;

const validators = new Map<number, ValidateFunction>();

/** Why `value` is no state of a version up to {@link stateVersion}; `undefined` when it is one. */
export function stateFault(value: unknown): string | undefined {
  const version = (value as { version?: unknown } | null)?.version === 1 ? 1 : stateVersion;
  const validate = validators.get(version) ?? validatorOf(version);
  if (validate(value)) return undefined;
  const [first] = validate.errors ?? [];
  return `${first?.instancePath || 'it'} ${first?.message ?? 'is wrong'}`;
}

function validatorOf(version: number): ValidateFunction {
  const schema = readFileSync(new URL(`../../state-schema/v${version}.json`, import.meta.url), 'utf8');
  // Only a run that finds a state pays for it.
  const { Ajv2020 } = createRequire(import.meta.url)('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js');
  const validate = new Ajv2020().compile(JSON.parse(schema));
  validators.set(version, validate);
  return validate;
}
