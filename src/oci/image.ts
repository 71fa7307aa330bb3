import { BoxcarError } from '../errors.ts';
import { type Descriptor, mediaTypes } from './descriptor.ts';
import { type Digest, digestOf } from './digest.ts';

/** Operating system and processor of an image, in Go's words (image-spec, config.md). */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
}

/** An image manifest (image-spec, manifest.md). */
export interface ImageManifest {
  schemaVersion: 2;
  mediaType: typeof mediaTypes.manifest;
  config: Descriptor;
  layers: Descriptor[];
  annotations: Record<string, string>;
}

/** Bytes with the descriptor that names them. */
export interface Document {
  descriptor: Descriptor;
  bytes: Buffer;
}

/** `linux/arm64/v8` as a platform. @throws BoxcarError `usage`. */
export function parsePlatform(text: string): Platform {
  const [os, architecture, variant, ...rest] = text.split('/');
  if (!os || !architecture || variant === '' || rest.length > 0 || !/^[a-z0-9/]+$/.test(text)) {
    throw new BoxcarError(`not a platform: ${text}`, {
      code: 'usage',
      side: 'local',
      hint: 'give it as os/architecture, for example linux/amd64 or linux/arm64',
    });
  }
  return { os, architecture, ...(variant ? { variant } : {}) };
}

/**
 * An image configuration (image-spec, config.md) of uncompressed layers: a layer's diff id is its digest. No entry point
 * and no time: KServe's sidecar sets arguments only, and the same inputs give the same bytes.
 */
export function imageConfig(platform: Platform, layers: Digest[], labels: Record<string, string>): Document {
  return document(mediaTypes.config, {
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant ? { variant: platform.variant } : {}),
    config: { Labels: sorted(labels) },
    rootfs: { type: 'layers', diff_ids: layers },
  });
}

export function imageManifest(
  config: Descriptor,
  layers: Descriptor[],
  annotations: Record<string, string>,
): Document {
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config,
    layers,
    annotations: sorted(annotations),
  };
  return document(mediaTypes.manifest, manifest);
}

/** What an artifact has where it has nothing (image-spec, manifest.md, "Guidance for an Empty Descriptor"). */
export const emptyBlob: Document = document('application/vnd.oci.empty.v1+json', {});

/** A manifest of something that is no image (image-spec, manifest.md, "Guidelines for Artifact Usage"). */
export function artifactManifest(
  artifactType: string,
  config: Descriptor,
  layers: Descriptor[],
  annotations: Record<string, string>,
): Document {
  return document(mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType,
    config,
    layers,
    annotations: sorted(annotations),
  });
}

function document(mediaType: string, value: unknown): Document {
  const bytes = Buffer.from(JSON.stringify(value));
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length } };
}

function sorted(record: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
