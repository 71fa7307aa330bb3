import { modelcarImage, type Plan } from '../formats/modelcar.ts';
import { mediaTypes } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { PublishListener } from './events.ts';
import type { Target } from './target.ts';

/**
 * Leaves before roots: the config blob, then the manifest under the image's tag, then the further tags. Every layer is
 * in the target already; a stop anywhere here leaves no tag on an incomplete image.
 * @param present what the image's tag points to: the same is not put again, where tags are immutable that is refused.
 * @returns the manifest's digest.
 */
export async function commitImage(
  target: Target,
  plan: Plan,
  digests: Digest[],
  tags: string[],
  emit: PublishListener,
  signal: AbortSignal,
  present?: Digest,
): Promise<Digest> {
  const { config, manifest } = modelcarImage(plan, digests);
  const { digest, mediaType } = manifest.descriptor;
  await target.putBlob(config.bytes, signal);
  for (const [i, tag] of tags.entries()) {
    const moved = i > 0 || present !== digest;
    if (moved) await target.putManifest(tag, manifest.bytes, mediaType, signal);
    emit({ type: 'tagged', tag, digest, moved });
  }
  return digest;
}

/** Points the further tags of an image that is there already; those that point to it stay as they are. */
export async function tagExisting(
  target: Target,
  manifest: { bytes: Buffer; digest: Digest },
  tags: string[],
  emit: PublishListener,
  signal: AbortSignal,
): Promise<void> {
  for (const tag of tags) {
    const moved = (await target.manifest(tag, signal))?.digest !== manifest.digest;
    if (moved) await target.putManifest(tag, manifest.bytes, mediaTypes.manifest, signal);
    emit({ type: 'tagged', tag, digest: manifest.digest, moved });
  }
}
