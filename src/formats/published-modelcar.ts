import { type ContentId, isContentId } from '../digest/content-id.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { imageConfig, imageManifest } from '../oci/image.ts';
import { annotations, layerDescriptor, type PublishedLayer } from './modelcar.ts';

/** An image that boxcar has published, as its manifest tells it. */
export interface PublishedModelcar {
  /** `org/name`, and the commit of it. */
  model: string;
  commit: string;
  prefix: string;
  layers: PublishedLayer[];
  /** Of the image's config, which must prove the rest: {@link hasConfig}. */
  config: Descriptor;
  annotations: Record<string, string>;
}

/**
 * Reads a manifest, if it is one that boxcar writes: byte for byte what comes out when its own layers and annotations are
 * written again, every layer with the four annotations and nothing else, sorted by path. Annotations alone prove
 * nothing, anybody can write them: together with its config ({@link hasConfig}), which names every layer's digest once
 * more, no other tool comes to the same bytes.
 */
export function readModelcar(manifest: Buffer): PublishedModelcar | undefined {
  const document = parse(manifest);
  const about = document?.annotations;
  if (!document || !isTexts(about) || !Array.isArray(document.layers)) return undefined;
  const config = descriptor(document.config);
  const layers = document.layers.map(layerOf);
  const model = about['org.opencontainers.image.title'];
  const commit = about['org.opencontainers.image.revision'];
  const prefix = about[annotations.prefix];
  if (!config || !layers.every((layer) => layer !== undefined)) return undefined;
  if (model === undefined || prefix === undefined || !/^[0-9a-f]{40}$/.test(commit ?? '')) return undefined;
  if (layers.some((layer, i) => i > 0 && (layers[i - 1]?.path ?? '') >= layer.path)) return undefined;
  const written = imageManifest(config, layers.map(layerDescriptor), about);
  if (!written.bytes.equals(manifest)) return undefined;
  return { model, commit: commit as string, prefix, layers, config, annotations: about };
}

/** Whether `bytes` are the config that boxcar gives this image: it names the same digests in the same order. */
export function hasConfig(modelcar: PublishedModelcar, bytes: Buffer): boolean {
  const { architecture, os, variant } = parse(bytes) ?? {};
  if (typeof architecture !== 'string' || typeof os !== 'string') return false;
  const platform = { architecture, os, ...(typeof variant === 'string' ? { variant } : {}) };
  const digests = modelcar.layers.map(({ digest }) => digest);
  const written = imageConfig(platform, digests, modelcar.annotations);
  return (
    written.bytes.equals(bytes) && JSON.stringify(written.descriptor) === JSON.stringify(modelcar.config)
  );
}

function layerOf(value: unknown): PublishedLayer | undefined {
  const found = descriptor(value);
  const about = found?.annotations;
  const { [annotations.contentId]: contentId, [annotations.packing]: packing } = about ?? {};
  const path = about?.['org.opencontainers.image.title'];
  if (!found || path === undefined || packing === undefined || !isContentId(contentId ?? ''))
    return undefined;
  return { path, contentId: contentId as ContentId, packing, digest: found.digest, size: found.size };
}

function descriptor(value: unknown): Descriptor | undefined {
  const { mediaType, digest, size, annotations: about } = (value ?? {}) as Partial<Descriptor>;
  if (typeof mediaType !== 'string' || typeof digest !== 'string' || !isDigest(digest)) return undefined;
  if (!Number.isSafeInteger(size) || (about !== undefined && !isTexts(about))) return undefined;
  return { mediaType, digest, size: size as number, ...(about ? { annotations: about } : {}) };
}

function isTexts(value: unknown): value is Record<string, string> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((text) => typeof text === 'string')
  );
}

function parse(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
