import type { TestContext } from 'node:test';
import { modelcarImage, planModelcar } from '../../../src/formats/modelcar.ts';
import { takeSnapshot } from '../../../src/hub/snapshot.ts';
import { mediaTypes } from '../../../src/oci/descriptor.ts';
import { defaults, digestsOf } from '../../formats/snapshots.ts';
import { hubAt } from '../../hub/hubs.ts';

/** The manifest of a model whose layers nobody has made: what a registry shows of an image with very many. */
export async function foreseenImage(
  t: TestContext,
  hubUrl: string,
  model: string,
): Promise<{ bytes: Buffer; mediaType: string }> {
  const snapshot = await takeSnapshot(hubAt(t, hubUrl), model, 'main');
  const plan = await planModelcar(snapshot, defaults);
  return { bytes: modelcarImage(plan, digestsOf(plan)).manifest.bytes, mediaType: mediaTypes.manifest };
}
