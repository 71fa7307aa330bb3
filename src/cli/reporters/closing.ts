import type { PublishResult, ShardResult } from '../../publish/events.ts';
import { bytes, duration, speed } from './format.ts';
import { outcomeSums, remarks } from './outcomes.ts';
import { plain } from './plain-text.ts';

/** The lines at the end of a successful publish: what it took, and how the image is used. */
export function closingLines(result: PublishResult): string[] {
  const { imageRef, imageRefDigest } = result;
  return [`done in ${tookText(result)}`, ...useLines(plain(imageRef, 500), plain(imageRefDigest, 500))];
}

/** The line at the end of a shard that leaves the image to others. */
export function shardClosingLine(result: ShardResult): string {
  const next = 'the image is written by the last shard (--finalize-last) or by boxcar finalize';
  return `shard ${plain(result.shard)} done in ${tookText(result)}; ${next}`;
}

/** `41 s: 5 transferred (15.2 GB, 371 MB/s), 9 reused (13.1 GB), 0 mounted, 0 resumed; about 35 s saved` */
function tookText(result: PublishResult | ShardResult): string {
  const { totals } = result;
  const sums = outcomeSums(result);
  // The speed is that of all bytes sent, and told beside the first of them; most often there are no others.
  const first = totals.seconds > 0 ? sums.find(({ sent }) => sent > 0) : undefined;
  const outcomes = sums.map((sum) => {
    const { outcome, layers, there, sent } = sum;
    const resumed = outcome === 'resumed';
    const facts = [
      ...(there > 0 ? [`${bytes(there)}${resumed ? ' were there' : ''}`] : []),
      ...(sent > 0 ? [`${bytes(sent)}${resumed ? ' sent' : ''}`] : []),
      ...(sum === first ? [speed(totals.bytesSent / totals.seconds)] : []),
    ];
    return `${layers} ${outcome}${facts.length > 0 ? ` (${facts.join(', ')})` : ''}`;
  });
  return [`${duration(totals.seconds)}: ${outcomes.join(', ')}`, ...remarks(result)].join('; ');
}

function useLines(imageRef: string, imageRefDigest: string): string[] {
  if (imageRef.startsWith('oci:')) {
    const tag = imageRef.slice(imageRef.lastIndexOf(':') + 1);
    const layout = imageRef.slice('oci:'.length);
    return [
      `copy   skopeo copy ${quoted(imageRef)} docker://REGISTRY/REPOSITORY:${tag}`,
      `copy   oras cp --from-oci-layout ${quoted(layout)} REGISTRY/REPOSITORY:${tag}`,
    ];
  }
  return [
    `pull   docker pull ${imageRef}`,
    `mount  image: { reference: "${imageRefDigest}" }     # Kubernetes image volume`,
    `serve  storageUri: oci+native://${imageRefDigest}     # KServe`,
  ];
}

/** One word for a POSIX shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
