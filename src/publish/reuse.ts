import { annotations, modelcarImage, type Plan } from '../formats/modelcar.ts';
import { type LayerPlan, layerSize } from '../layer/layer.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestOf, isDigest } from '../oci/digest.ts';
import type { StateFile } from '../state/state-file.ts';
import type { Target } from './target.ts';

/**
 * The digests of the plan's layers, if `manifest` is the very image that the plan would give: its annotations name every
 * file by content id, and a manifest made of the plan with its layers' digests has its bytes.
 */
export function digestsOfSameImage(plan: Plan, manifest: Buffer): Digest[] | undefined {
  const digests = layersOf(manifest).map((layer) => layer?.digest);
  if (digests.length !== plan.layers.length || !digests.every(isDigestText)) return undefined;
  const same = modelcarImage(plan, digests).manifest.descriptor.digest === digestOf(manifest);
  return same ? digests : undefined;
}

/** The digest of a layer that an earlier run has finished, if the target still has it. */
export async function finishedEarlier(
  layer: LayerPlan,
  state: StateFile | undefined,
  target: Target,
  signal: AbortSignal,
): Promise<Digest | undefined> {
  const known = state?.layer(layer.name);
  if (!known?.digest || known.contentId !== layer.contentId || known.size !== layerSize(layer))
    return undefined;
  return (await target.hasBlob(known.digest, signal)) ? known.digest : undefined;
}

/** Names of the files in an image of boxcar's, for saying what it holds. */
export function revisionOf(manifest: Buffer): string | undefined {
  const document = parse(manifest);
  const revision = document.annotations?.['org.opencontainers.image.revision'];
  // Anybody's manifest: what is no commit is not repeated.
  const isCommit = typeof revision === 'string' && /^[0-9a-f]{40}$/.test(revision);
  return document.annotations?.[annotations.prefix] === undefined || !isCommit ? undefined : revision;
}

function isDigestText(value: unknown): value is Digest {
  return typeof value === 'string' && isDigest(value);
}

function layersOf(manifest: Buffer): (Descriptor | null)[] {
  const { layers } = parse(manifest);
  return Array.isArray(layers) ? layers : [];
}

function parse(manifest: Buffer): {
  layers?: (Descriptor | null)[];
  annotations?: Record<string, unknown> | null;
} {
  try {
    return JSON.parse(manifest.toString('utf8')) ?? {};
  } catch {
    return {};
  }
}
