import assert from 'node:assert/strict';
import { mediaTypes } from '../../../src/oci/descriptor.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import type { Registry } from '../../support/registries.ts';
import { inspectRegistry } from '../../support/registry-storage.ts';

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  annotations: Record<string, string>;
}

/** An image of boxcar's as it is in a registry, to be altered by whoever may push there. */
export interface Image {
  // biome-ignore lint/suspicious/noExplicitAny: whatever a forger makes of it
  manifest: any;
  // biome-ignore lint/suspicious/noExplicitAny: whatever a forger makes of it
  config: any;
}

/** Writes what a tag of a repository points to anew, as any client with the right to push can. */
export class Forger {
  readonly #registry: Registry;
  readonly #repository: string;
  readonly #tag: string;

  constructor(registry: Registry, repository: string, tag: string) {
    this.#registry = registry;
    this.#repository = repository;
    this.#tag = tag;
  }

  async image(): Promise<Image> {
    const inspection = inspectRegistry(this.#registry);
    const manifest = (await inspection.manifest(this.#repository, this.#tag))?.json;
    return { manifest, config: JSON.parse(inspection.blob(manifest.config.digest).toString()) };
  }

  layer({ manifest }: Image, path: string): { index: number; descriptor: Descriptor; bytes: Buffer } {
    const index = manifest.layers.findIndex(
      ({ annotations }: Descriptor) => annotations['org.opencontainers.image.title'] === path,
    );
    const descriptor = manifest.layers[index];
    return { index, descriptor, bytes: inspectRegistry(this.#registry).blob(descriptor.digest) };
  }

  /** Another blob for a layer, in manifest and config; what is said of its size stays. */
  async replaceLayer(image: Image, path: string, bytes: Buffer): Promise<void> {
    const { index, descriptor } = this.layer(image, path);
    descriptor.digest = await this.putBlob(bytes);
    image.config.rootfs.diff_ids[index] = descriptor.digest;
  }

  /** The manifest names the config as it is now. @param write the manifest's bytes, where they are no plain JSON. */
  async put(
    { manifest, config }: Image,
    write: (manifest: object) => string = JSON.stringify,
  ): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(config));
    manifest.config = { ...manifest.config, digest: await this.putBlob(bytes), size: bytes.length };
    await this.putManifest(write(manifest), manifest.mediaType);
  }

  async putManifest(text: string, mediaType: string = mediaTypes.manifest): Promise<void> {
    const url = `${this.#registry.url}/v2/${this.#repository}/manifests/${this.#tag}`;
    const answer = await fetch(url, { method: 'PUT', body: text, headers: { 'content-type': mediaType } });
    assert.equal(answer.status, 201, await answer.text());
  }

  async putBlob(bytes: Buffer): Promise<string> {
    const digest = digestOf(bytes);
    const begun = await fetch(`${this.#registry.url}/v2/${this.#repository}/blobs/uploads/`, {
      method: 'POST',
    });
    const url = new URL(begun.headers.get('location') ?? '', this.#registry.url);
    url.searchParams.set('digest', digest);
    const headers = { 'content-type': 'application/octet-stream' };
    const answer = await fetch(url, { method: 'PUT', body: new Uint8Array(bytes), headers });
    assert.equal(answer.status, 201, await answer.text());
    return digest;
  }
}
