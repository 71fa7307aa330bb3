import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** User names and passwords. */
export type HtpasswdUsers = Record<string, string>;

/** The one password that also works where there is no `htpasswd` program (apache2-utils) to hash another. */
export const knownPassword = 'correct horse';
const knownHash = '$2y$04$aLOTUFlQzVeT4yGMOzYLYuw5v63zyszU7APs0rD.ejT/ddbSsF/Fu';

/** Writes an htpasswd file into `folder`; registries take bcrypt only, which Node cannot compute. */
export function htpasswdFile(folder: string, users: HtpasswdUsers): string {
  const file = join(folder, 'htpasswd');
  const lines = Object.entries(users).map(([user, password]) => `${user}:${hashOf(password)}\n`);
  writeFileSync(file, lines.join(''));
  return file;
}

function hashOf(password: string): string {
  if (password === knownPassword) return knownHash;
  // -i: the password comes by stdin; -C 4: the cheapest cost bcrypt has.
  const hashed = spawnSync('htpasswd', ['-niBC', '4', 'user'], { input: password, encoding: 'utf8' });
  const hash = hashed.stdout?.trim().split(':')[1];
  if (!hash) throw new Error('no htpasswd program here: use knownPassword, or install apache2-utils');
  return hash;
}
