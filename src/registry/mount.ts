import type { Digest } from '../oci/digest.ts';
import type { Repository } from './repository.ts';
import { cancelUpload, nextLocation } from './upload-session.ts';

/**
 * POST with `mount` and `from`: makes a blob of another repository of the same registry one of this repository's
 * (distribution-spec, "Mounting a blob from another repository").
 * @returns false where the registry does not: it has begun an upload instead, which is cancelled, or refused.
 * @throws BoxcarError also where its token server refuses the right to; that is not asked for any more then.
 */
export async function mountBlob(
  repository: Repository,
  digest: Digest,
  from: string,
  signal?: AbortSignal,
): Promise<boolean> {
  const url = repository.url('blobs/uploads/');
  url.search = new URLSearchParams({ mount: digest, from }).toString();
  const forget = repository.rememberRights();
  let mounted = false;
  const ask = async () => {
    const answer = await repository.request({ method: 'POST', url, signal });
    if (answer.status >= 500 || answer.status === 429)
      throw await repository.error(answer, `the registry did not mount ${digest} from ${from}`);
    await answer.discard();
    if (answer.status === 202) {
      const location = nextLocation(answer, url);
      if (location !== url) await cancelUpload(repository, { location, offset: 0 }, signal);
    }
    return answer.status === 201;
  };
  try {
    mounted = await repository.retrying(ask, signal);
    return mounted;
  } finally {
    if (!mounted) forget();
  }
}
