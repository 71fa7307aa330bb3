import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The hub's token and where it was found. */
export interface HubToken {
  token: string;
  source: string;
}

/**
 * The token from where huggingface_hub looks for it, in its order (constants.py and utils/_auth.py): `HF_TOKEN`,
 * `HUGGING_FACE_HUB_TOKEN`, then a file: `HF_TOKEN_PATH`, `$HF_HOME/token`, `$XDG_CACHE_HOME/huggingface/token`,
 * `~/.cache/huggingface/token`. `HF_HUB_DISABLE_IMPLICIT_TOKEN` skips the files.
 */
export async function findHubToken(
  env: NodeJS.ProcessEnv,
  home = env.HOME ?? homedir(),
): Promise<HubToken | undefined> {
  for (const name of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN']) {
    const token = clean(env[name]);
    if (token) return { token, source: name };
  }
  if (/^(1|true|yes|on)$/i.test(env.HF_HUB_DISABLE_IMPLICIT_TOKEN ?? '')) return undefined;
  const cache = env.XDG_CACHE_HOME || join(home, '.cache');
  const file = env.HF_TOKEN_PATH || join(env.HF_HOME || join(cache, 'huggingface'), 'token');
  const token = clean(await readFile(file, 'utf8').catch(() => undefined));
  return token ? { token, source: file } : undefined;
}

/** Secrets are often set with a line's end (huggingface_hub strips it too); what cannot stand in a header is no token. */
function clean(value: string | undefined): string | undefined {
  const token = value?.trim();
  return token && /^[\x21-\x7e]+$/.test(token) ? token : undefined;
}
