// Preloaded (`--import`): ends its process with SIGKILL at one of the renames that give a file its final name.
// BOXCAR_END_AT is `before` or `after`, the how manieth rename, and the end of the name: `before 3 state.json`.
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const [moment, count, name = ''] = (process.env.BOXCAR_END_AT ?? '').split(' ');
let left = Number(count);

function passing(to: unknown, now: string): void {
  if (!String(to).endsWith(name)) return;
  if (now === 'before') left -= 1;
  if (left === 0 && now === moment) process.kill(process.pid, 'SIGKILL');
}

const { renameSync } = fs;
fs.renameSync = (from, to) => {
  passing(to, 'before');
  renameSync(from, to);
  passing(to, 'after');
};
const { rename } = fsp;
fsp.rename = async (from, to) => {
  passing(to, 'before');
  await rename(from, to);
  passing(to, 'after');
};
syncBuiltinESMExports();
