import type { Digest } from '../oci/digest.ts';
import type { LayerResult, PublishResult } from './events.ts';
import type { Publish } from './job.ts';
import type { Stopwatch } from './stopwatch.ts';
import { totalsOf } from './totals.ts';

/** Tells that the image is there. */
export function finish(job: Publish, layers: LayerResult[], digest: Digest, watch: Stopwatch): PublishResult {
  const { target, emit } = job;
  const result: PublishResult = {
    ...resultOf(job, layers, watch),
    imageRefDigest: target.imageRefDigest(digest),
    manifestDigest: digest,
  };
  emit({ type: 'done', result });
  return result;
}

/** What can be told of a publish whether or not there is an image now. */
export function resultOf(
  { plan, target, tags, caps }: Publish,
  layers: LayerResult[],
  watch: Stopwatch,
): Omit<PublishResult, 'imageRefDigest' | 'manifestDigest'> {
  return {
    model: plan.snapshot.model,
    commit: plan.snapshot.commit,
    imageRef: target.imageRef(tags[0]),
    tags,
    layers,
    totals: totalsOf(layers, watch, caps),
  };
}
