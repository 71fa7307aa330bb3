import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import * as tar from 'tar-stream';
import { type PublishResult, push } from '../../../src/index.ts';
import { startHub } from '../../support/hub.ts';
import { filesOf } from '../../support/models.ts';
import { type Registry, type RegistryKind, startRegistry } from '../../support/registries.ts';
import { type Inspection, inspectRegistry } from '../../support/registry-storage.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { startTokenServer, type TokenServer } from '../../support/token-server.ts';
import { model } from './model.ts';
import type { KnownDigests } from './steps.ts';

export const user = { OCI_USERNAME: 'ada', OCI_PASSWORD: 'correct horse' };

/** Parts of what must be in no message. */
export const secrets = ['hf_good', user.OCI_PASSWORD, 'Signature=', '_state='];

/** A registry with its token server, and the image that an undisturbed push makes there. */
export interface World {
  kind: RegistryKind;
  registry: Registry;
  tokens: TokenServer;
  inspect: Inspection;
  /** Of the undisturbed push. */
  reference: PublishResult;
  known: KnownDigests;
  close(): Promise<void>;
}

export async function createWorld(kind: RegistryKind): Promise<World> {
  const tokens = await startTokenServer({ users: { [user.OCI_USERNAME]: user.OCI_PASSWORD }, anonymous: [] });
  const registry = await startRegistry({ kind, auth: { token: tokens } });
  const inspect = inspectRegistry(registry);
  const hub = await startHub({ models: [model] });
  const env = { HF_ENDPOINT: hub.url, HOME: tempDir(), ...user };
  const target = `${registry.host}/cells/reference:v1`;
  const reference = await push({ model: model.name, target, env, stateFile: false, plainHttp: true });
  await hub.close();
  const manifest = JSON.parse(inspect.blob(reference.manifestDigest).toString());
  const weights = reference.layers.find(({ path }) => path === 'model.safetensors')?.digest ?? '';
  await checkLayers(inspect, reference);
  return {
    kind,
    registry,
    tokens,
    inspect,
    reference,
    known: { weights, config: manifest.config.digest },
    close: async () => {
      await registry.stop();
      await tokens.close();
    },
  };
}

/** The layers hold the model's files: each an archive whose one file has the right name and bytes. */
async function checkLayers(inspect: Inspection, { layers }: PublishResult): Promise<void> {
  const held = new Map<string, Buffer>();
  for (const { digest } of layers) {
    const archive = tar.extract();
    archive.end(inspect.blob(digest));
    for await (const entry of archive) {
      const bytes = await buffer(entry);
      if (entry.header.type === 'file') held.set(entry.header.name, bytes);
    }
  }
  const files = Object.entries(filesOf(model));
  const wanted = files.map(([path, content]) => [
    `models/${path}`,
    Buffer.from(content as string | Uint8Array),
  ]);
  assert.deepEqual(held, new Map(wanted as [string, Buffer][]));
}

/** What of an image of the undisturbed push is wrong in a repository under that tag; nothing if it is complete. */
export function faultOfImage(
  { inspect, registry, reference, known }: World,
  repository: string,
  tag: string,
): string | undefined {
  const folder = join(registry.storageDir, 'docker/registry/v2/repositories', repository);
  const link = join(folder, '_manifests/tags', tag, 'index/sha256', hex(reference.manifestDigest));
  if (!existsSync(link)) return `${tag} is not the image of an undisturbed push`;
  const linked = new Set(readdirSync(join(folder, '_layers/sha256')));
  for (const digest of [...reference.layers.map((layer) => layer.digest), known.config]) {
    if (!linked.has(hex(digest))) return `${digest} is not in the repository`;
    const bytes = inspect.blob(digest);
    if (createHash('sha256').update(bytes).digest('hex') !== hex(digest)) return `${digest} has other bytes`;
  }
  return undefined;
}

function hex(digest: string): string {
  return digest.replace('sha256:', '');
}
