// Holds a state file in a process of its own: `node holder.ts PATH [uid]`; says what came of it, then waits to be ended.
import { StateFile } from '../../src/state/state-file.ts';
import { identity } from './states.ts';

const [path = '', uid] = process.argv.slice(2);
if (uid !== undefined) process.setuid?.(Number(uid));
try {
  const file = await StateFile.open(path, identity, (notice) => console.log(notice));
  file?.set('models/x', { contentId: `git:${'1'.repeat(40)}`, size: 1 });
  await file?.record();
  console.log(file ? 'held' : 'not held');
  if (file) setInterval(() => {}, 1000);
} catch (error) {
  console.log((error as NodeJS.ErrnoException).code);
}
