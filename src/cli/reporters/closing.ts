import type { PublishResult } from '../../publish/events.ts';
import { bytes, duration, percent, speed } from './format.ts';
import { plain } from './plain-text.ts';

/** The lines at the end of a successful publish: what it took, and how the image is used. */
export function closingLines(result: PublishResult): string[] {
  return [doneLine(result), ...useLines(plain(result.imageRef, 500), plain(result.imageRefDigest, 500))];
}

function doneLine({ layers, totals }: PublishResult): string {
  const sent = { transferred: 0, resumed: 0, reused: 0, mounted: 0 };
  for (const layer of layers) sent[layer.outcome] += layer.bytesSent;
  const pace = totals.seconds > 0 ? `, ${speed(totals.bytesSent / totals.seconds)}` : '';
  const transferred = sent.transferred > 0 ? ` (${bytes(sent.transferred)}${pace})` : '';
  const resumed = sent.resumed > 0 ? ` (${bytes(sent.resumed)}${transferred ? '' : pace})` : '';
  const outcomes = [
    `${totals.transferred} transferred${transferred}`,
    `${totals.reused} reused`,
    `${totals.mounted} mounted`,
    `${totals.resumed} resumed${resumed}`,
  ];
  const remarks = [
    ...(totals.bytesSent > 0 ? [slowerSide(totals.waitingForHub)] : []),
    ...(totals.retries > 0 ? [totals.retries === 1 ? '1 retry' : `${totals.retries} retries`] : []),
  ];
  return [`done in ${duration(totals.seconds)}: ${outcomes.join(', ')}`, ...remarks].join('; ');
}

function slowerSide(waitingForHub: number): string {
  const share = percent(waitingForHub, 1);
  return waitingForHub >= 0.5
    ? `the hub was the slower side (${share} % of the time waiting for it)`
    : `the registry was the slower side (${share} % of the time waiting for the hub)`;
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
