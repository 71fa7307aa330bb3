import { readFileSync } from 'node:fs';

/** boxcar's own, of package.json. */
export const version: string = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
).version;
