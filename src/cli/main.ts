#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';
import { runMain } from './run.ts';

// V8 lets its heap grow by the machine's memory: to 350 MiB over 5,000 small files, for 25 MiB in use. What is young stays
// as large as it is now, and what is old may grow by half before it is looked through: no slower, measured.
setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--heap-growing-percent=50');

process.exitCode = await runMain(process.argv.slice(2));
