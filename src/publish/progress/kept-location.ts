import type { LayerState, StateIdentity } from '../../state/state-schema.ts';
import { isSealed, type StateKey } from './state-key.ts';
import type { StateStore } from './state-store.ts';

/** Whose Locations they are, and what seals them. */
export interface LocationKeeper {
  store: Pick<StateStore, 'origin' | 'name'>;
  identity: StateIdentity;
  key: StateKey | undefined;
}

/**
 * Whether whoever reads an upload's Location can write to that upload. In the repository itself the account's
 * credentials are needed as well, and `_state` (distribution) only tells what the server knows; anything else may be a
 * signature, as in the Locations of object stores.
 */
export function isSecretLocation(location: string, { origin, name }: LocationKeeper['store']): boolean {
  const url = URL.parse(location);
  if (!url || url.origin !== origin || url.username !== '' || url.password !== '') return true;
  // `uploads` in the specification, `upload` on GHCR. Whatever else it is, it may not be written to for a stranger.
  const uploads = `/v2/${name.slice(name.indexOf('/') + 1)}/blobs/upload`;
  if (!url.pathname.startsWith(uploads)) return true;
  return [...url.searchParams.keys()].some((key) => !['_state', '_nouploadcache'].includes(key));
}

/** A layer as others may read it: a Location that is a secret is sealed, or its upload left out where there is no key. */
export function sealLayer(layer: LayerState, name: string, keeper: LocationKeeper): LayerState {
  const { upload, ...rest } = layer;
  if (!upload || !isSecretLocation(upload.location, keeper.store)) return layer;
  if (!keeper.key) return rest;
  return {
    ...rest,
    upload: { ...upload, location: keeper.key.seal(upload.location, belongsTo(name, keeper)) },
  };
}

/** A layer as it was before {@link sealLayer}; without its upload where that cannot be had. */
export function openLayer(layer: LayerState, name: string, keeper: LocationKeeper): LayerState {
  const { upload, ...rest } = layer;
  if (!upload) return layer;
  const location = openLocation(upload.location, name, keeper);
  return location === undefined ? rest : { ...rest, upload: { ...upload, location } };
}

/**
 * Where a session is that somebody has written down. What is not sealed can be anybody's word: it is believed only where
 * it could have been written openly, so that nobody is sent a model, or a DELETE, who was named by a stranger.
 */
export function openLocation(location: string, name: string, keeper: LocationKeeper): string | undefined {
  if (isSealed(location)) return keeper.key?.open(location, belongsTo(name, keeper));
  return isSecretLocation(location, keeper.store) ? undefined : location;
}

function belongsTo(name: string, { identity }: LocationKeeper): string {
  return `${identity.target} ${name}`;
}
