import type { ContentId } from '../digest/content-id.ts';
import { BoxcarError } from '../errors.ts';
import type { Snapshot } from '../hub/model-file.ts';
import { defaultEndpoint } from '../hub/model-reference.ts';
import { type LayerPlan, layerSize } from '../layer/layer.ts';
import { tarHeader } from '../layer/tar.ts';
import { type Descriptor, mediaTypes } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type Document, imageConfig, imageManifest, type Platform } from '../oci/image.ts';
import { checkPaths } from './paths.ts';
import { spdxLicense } from './spdx.ts';

/** Names of boxcar's own annotations. */
export const annotations = {
  /** On a layer: the content id of the file in it, `sha256:<hex>` or `git:<hex>`. */
  contentId: 'dev.boxcar.content.id',
  /** On a layer: how the file was put into the archive. Another value may mean other bytes of the same file. */
  packing: 'dev.boxcar.packing',
  /** On the manifest: the directory that the files are in. */
  prefix: 'dev.boxcar.layer.prefix',
} as const;

/** The rules of `tarHeader` and `trailerSize`; changed when they give other bytes. */
export const packing = 'tar-1';

/** A runtime's limit that holds everywhere: dockerd's graph driver takes 125 layers (moby, layer_store.go). */
const portableLayers = 125;

export interface PlanOptions {
  /** Directory in the image, ending in `/`, or empty for the root. */
  prefix: string;
  platform: Platform;
}

/** What will be published: everything but the layers' digests, which are known when their bytes have passed. */
export interface Plan {
  snapshot: Snapshot;
  options: PlanOptions;
  /** Sorted by path. */
  layers: LayerPlan[];
  /** Bytes of all layers. */
  size: number;
}

/** A modelcar: one uncompressed tar layer a file, under `models/`. Depends on its arguments alone. */
export async function planModelcar(snapshot: Snapshot, options: PlanOptions): Promise<Plan> {
  checkPaths(snapshot.files.map((file) => file.path));
  const files = [...snapshot.files].sort((a, b) => (a.path < b.path ? -1 : 1));
  const layers: LayerPlan[] = [];
  for (const { path, size, contentId } of files) {
    const name = options.prefix + path;
    layers.push({ path, name, contentId, fileSize: size, header: await tarHeader(name, size) });
  }
  return { snapshot, options, layers, size: layers.reduce((sum, layer) => sum + layerSize(layer), 0) };
}

/** What a runtime may refuse although registries take it (formats.md, 5.9). */
export function layerCountWarning(plan: Plan): string | undefined {
  const layers = plan.layers.length;
  if (layers <= portableLayers) return undefined;
  return `${layers} layers: Docker without the containerd store takes ${portableLayers}; containerd, CRI-O and podman take this image up to about 400`;
}

/** Config and manifest of a plan whose layers' digests are known, in the order of `plan.layers`. */
export function modelcarImage(plan: Plan, digests: Digest[]): { config: Document; manifest: Document } {
  const about = imageAnnotations(plan);
  const config = imageConfig(plan.options.platform, digests, about);
  const layers = plan.layers.map((layer, i) => {
    const digest = digests[i];
    if (!digest) throw new BoxcarError(`no digest for ${layer.path}`, { code: 'unexpected', side: 'local' });
    return layerDescriptor({ ...layer, packing, digest, size: layerSize(layer) });
  });
  return { config, manifest: imageManifest(config.descriptor, layers, about) };
}

/** A layer that has been published: its file, how it was packed, and what came out. */
export interface PublishedLayer {
  /** Path in the model's repository. */
  path: string;
  contentId: ContentId;
  packing: string;
  digest: Digest;
  /** Bytes of the layer. */
  size: number;
}

/** What is known of the file is in the annotations. */
export function layerDescriptor({ path, contentId, packing, digest, size }: PublishedLayer): Descriptor {
  return {
    mediaType: mediaTypes.layer,
    digest,
    size,
    annotations: {
      [annotations.contentId]: contentId,
      [annotations.packing]: packing,
      'org.cncf.model.filepath': path,
      'org.opencontainers.image.title': path,
    },
  };
}

/**
 * Pre-defined keys of image-spec annotations.md, as far as the commit itself determines them. URLs are the public hub's
 * also where a mirror was read: the same commit gives the same image everywhere.
 */
function imageAnnotations({ snapshot, options }: Plan): Record<string, string> {
  const { model, commit, card, files } = snapshot;
  const page = `${defaultEndpoint}/${model}`;
  const license = spdxLicense(card);
  const hasCard = files.some(({ path }) => path === 'README.md');
  const author = model.split('/')[0] ?? model;
  return {
    'org.opencontainers.image.title': model,
    'org.opencontainers.image.source': page,
    'org.opencontainers.image.url': `${page}/tree/${commit}`,
    ...(hasCard ? { 'org.opencontainers.image.documentation': `${page}/blob/${commit}/README.md` } : {}),
    'org.opencontainers.image.revision': commit,
    'org.opencontainers.image.version': commit.slice(0, 12),
    'org.opencontainers.image.vendor': author,
    'org.opencontainers.image.authors': author,
    ...(license ? { 'org.opencontainers.image.licenses': license } : {}),
    [annotations.prefix]: options.prefix,
  };
}
