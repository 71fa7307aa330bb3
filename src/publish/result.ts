import type { Digest } from '../oci/digest.ts';
import type { PublishResult } from './events.ts';
import type { Publish } from './job.ts';
import { totalsOf } from './totals.ts';
import type { Transferred } from './transfer.ts';

/** Tells that the image is there. @param started by `performance.now()`. */
export function finish(job: Publish, layers: Transferred[], digest: Digest, started: number): PublishResult {
  const { target, emit } = job;
  const result: PublishResult = {
    ...resultOf(job, layers, started),
    imageRefDigest: target.imageRefDigest(digest),
    manifestDigest: digest,
  };
  emit({ type: 'done', result });
  return result;
}

/** What can be told of a publish whether or not there is an image now. */
export function resultOf(
  { plan, target, tags }: Publish,
  layers: Transferred[],
  started: number,
): Omit<PublishResult, 'imageRefDigest' | 'manifestDigest'> {
  return {
    model: plan.snapshot.model,
    commit: plan.snapshot.commit,
    imageRef: target.imageRef(tags[0]),
    tags,
    layers: layers.map(({ waitedMs: _, ...layer }) => layer),
    totals: totalsOf(layers, (performance.now() - started) / 1000),
  };
}
