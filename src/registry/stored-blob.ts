import type { Digest } from '../oci/digest.ts';
import type { Repository } from './repository.ts';

/**
 * The bytes of a small blob; its storage may be elsewhere, where no credentials go.
 * @param limit in bytes.
 * @returns `undefined` where there is none. They may be wrong: whoever asks knows the digest.
 * @throws BoxcarError when it is longer.
 */
export function readBlob(
  repository: Repository,
  digest: Digest,
  limit: number,
  signal?: AbortSignal,
): Promise<Buffer | undefined> {
  return repository.retrying(async () => {
    const answer = await repository.read({ url: repository.url(`blobs/${digest}`), signal });
    if (answer.status === 200) return answer.bytes(limit);
    if (answer.status !== 404) throw await repository.error(answer, `the registry did not give ${digest}`);
    await answer.discard();
    return undefined;
  }, signal);
}
