import { runMain } from '../../src/cli/run.ts';
import { type Command, end } from './command-line.ts';

process.on('message', async ({ args, env, cwd }: Command) => {
  process.chdir(cwd);
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, env);
  const code = await runMain(args);
  // Every run listens for their errors, and expects no other after it.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error').write(end);
  process.send?.(code);
});
