import type { Case } from '../case.ts';
import { manyFiles } from './files.ts';
import { latency } from './latency.ts';
import { memory } from './memory.ts';
import { speed, tlsSpeed, unverifiedSpeed } from './speed.ts';
import { start } from './start.ts';
import { windows } from './windows.ts';

/** In the order of the table. */
export const cases: Case[] = [speed, unverifiedSpeed, tlsSpeed, windows, latency, manyFiles, memory, start];
