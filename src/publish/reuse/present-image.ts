import pLimit from 'p-limit';
import { BoxcarError } from '../../errors.ts';
import { annotations, modelcarImage, type Plan } from '../../formats/modelcar.ts';
import { type LayerPlan, layerSize } from '../../layer/layer.ts';
import { type Digest, digestOf, isDigest } from '../../oci/digest.ts';
import type { Publish } from '../job.ts';
import { questionsAtOnce, type Target } from '../target.ts';

/** The image that has the tag already. */
export interface PresentImage {
  digest: Digest;
  bytes: Buffer;
  /** Of the plan's layers, where it is the very image that the plan gives; absent for any other. */
  digests?: Digest[];
}

/** Looks at the tag. @throws BoxcarError as the target does. */
export async function presentImage(
  plan: Plan,
  target: Target,
  tag: string,
  signal: AbortSignal,
): Promise<PresentImage | undefined> {
  const there = await target.manifest(tag, signal);
  if (!there) return undefined;
  const digests = digestsOfSameImage(plan, there.bytes);
  return { digest: there.digest, bytes: there.bytes, ...(digests ? { digests } : {}) };
}

/** The image under the tag. @throws BoxcarError `tag-exists` when it is another one, which is not moved unasked. */
export async function untakenTag(
  { plan, target, tags: [tag], force }: Pick<Publish, 'plan' | 'target' | 'tags' | 'force'>,
  signal: AbortSignal,
): Promise<PresentImage | undefined> {
  const there = await presentImage(plan, target, tag, signal);
  if (there && !there.digests && !force) throw tagTaken(target.imageRef(tag), there.bytes);
  return there;
}

/** Whether every blob of an image is in the target: asked for one by one. */
export async function isWhole(
  plan: Plan,
  { digests = [] }: PresentImage,
  target: Target,
  signal: AbortSignal,
): Promise<boolean> {
  const { digest, size } = modelcarImage(plan, digests).config.descriptor;
  const missing = await missingLayers(plan, digests, target, signal);
  return missing.length === 0 && target.hasBlob(digest, signal, size);
}

/** The layers whose blobs are not in the target. @param digests of the plan's layers. */
export async function missingLayers(
  { layers }: Plan,
  digests: Digest[],
  target: Target,
  signal: AbortSignal,
): Promise<LayerPlan[]> {
  const asking = pLimit(questionsAtOnce);
  const there = await Promise.all(
    layers.map((layer, i) => asking(() => target.hasBlob(digests[i] as Digest, signal, layerSize(layer)))),
  );
  return layers.filter((_, i) => !there[i]);
}

/** @throws for a tag that another image has: it is not moved unasked. */
export function tagTaken(imageRef: string, manifest: Buffer): BoxcarError {
  const revision = revisionOf(manifest);
  return new BoxcarError(`the tag exists and points elsewhere: ${imageRef}`, {
    code: 'tag-exists',
    side: 'registry',
    hint: `${revision ? `it is an image of commit ${revision}; ` : ''}choose another tag with --target-tag, or move this one with --force`,
  });
}

/**
 * The digests of the plan's layers, if `manifest` is the very image that the plan would give: its annotations name every
 * file by content id, and a manifest made of the plan with its layers' digests has its bytes.
 */
function digestsOfSameImage(plan: Plan, manifest: Buffer): Digest[] | undefined {
  const { layers } = parse(manifest);
  if (!Array.isArray(layers) || layers.length !== plan.layers.length) return undefined;
  const digests = layers.map((layer) => layer?.digest);
  if (!digests.every((digest) => typeof digest === 'string' && isDigest(digest))) return undefined;
  const same = modelcarImage(plan, digests).manifest.descriptor.digest === digestOf(manifest);
  return same ? digests : undefined;
}

/** The commit that an image of boxcar's says it is of. */
function revisionOf(manifest: Buffer): string | undefined {
  const { annotations: about } = parse(manifest);
  const revision = about?.['org.opencontainers.image.revision'];
  // Anybody's manifest: what is no commit is not repeated.
  const isCommit = typeof revision === 'string' && /^[0-9a-f]{40}$/.test(revision);
  return about?.[annotations.prefix] === undefined || !isCommit ? undefined : revision;
}

function parse(manifest: Buffer): {
  layers?: ({ digest: Digest } | null)[];
  annotations?: Record<string, unknown> | null;
} {
  try {
    return JSON.parse(manifest.toString('utf8')) ?? {};
  } catch {
    return {};
  }
}
