import { type Descriptor, mediaTypes } from '../oci/descriptor.ts';
import { digestOf, isDigest } from '../oci/digest.ts';
import { artifactManifest, type Document, emptyBlob } from '../oci/image.ts';

/** What nobody takes for an image: runtimes refuse a config of this type. */
export const stateArtifactType = 'application/vnd.boxcar.state.v2+json';

const created = 'org.opencontainers.image.created';
/** The tag it was written for: two artifacts are never the same manifest, so that one can be deleted by its digest. */
const forTag = 'dev.boxcar.state.tag';
/** What cannot be deleted is emptied, and says so. */
const over = 'dev.boxcar.state.over';

/**
 * The state of a publish as an artifact (image-spec, manifest.md, "Guidelines for Artifact Usage"): the state is its
 * config, and the layers that are finished are its layers, so that no garbage collection takes them.
 * @param writtenAt ms since 1970.
 * @param isOver nothing of it is needed any more.
 */
export function stateArtifact(
  state: string,
  layers: Descriptor[],
  tag: string,
  writtenAt: number,
  { isOver = false } = {},
): { config: Document; manifest: Document } {
  const bytes = Buffer.from(state);
  const descriptor = { mediaType: stateArtifactType, digest: digestOf(bytes), size: bytes.length };
  const about = {
    [created]: new Date(writtenAt).toISOString(),
    [forTag]: tag,
    ...(isOver ? { [over]: 'true' } : {}),
  };
  // An artifact must have a layer; one that is empty stands for none.
  const held = layers.length > 0 ? layers : [emptyBlob.descriptor];
  const manifest = artifactManifest(stateArtifactType, descriptor, held, about);
  return { config: { descriptor, bytes }, manifest };
}

/** What such an artifact says. */
export interface StateArtifact {
  config: Descriptor;
  /** ms since 1970; 0 where it does not say. */
  writtenAt: number;
  /** The finished layers. */
  held: Descriptor[];
  /** Nothing of it is needed any more. */
  isOver: boolean;
}

/** A manifest that is such an artifact; `undefined` for any other. */
export function readStateArtifact(manifest: Buffer): StateArtifact | undefined {
  try {
    const { artifactType, config, layers, annotations } = JSON.parse(manifest.toString('utf8')) ?? {};
    const writtenAt = Date.parse(annotations?.[created] ?? '');
    if (artifactType !== stateArtifactType || config?.mediaType !== stateArtifactType) return undefined;
    if (!isDescriptor(config)) return undefined;
    const held = (Array.isArray(layers) ? layers : []).filter(
      (layer) => isDescriptor(layer) && layer.mediaType === mediaTypes.layer,
    );
    return {
      config,
      writtenAt: Number.isNaN(writtenAt) ? 0 : writtenAt,
      held,
      isOver: annotations?.[over] === 'true',
    };
  } catch {
    return undefined;
  }
}

function isDescriptor(value: Partial<Descriptor> | null | undefined): value is Descriptor {
  return isDigest(String(value?.digest)) && Number.isSafeInteger(value?.size) && Number(value?.size) >= 0;
}

/** A finished layer, as the artifact names it. */
export function heldLayer(digest: Descriptor['digest'], size: number): Descriptor {
  return { mediaType: mediaTypes.layer, digest, size };
}
