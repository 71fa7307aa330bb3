import { readFileSync } from 'node:fs';
import { opensslEngine } from '../../src/digest/sha256-openssl.ts';
import { wasmEngine } from '../../src/digest/sha256-wasm.ts';

/** Every engine that this machine has; the native one is an optional dependency. */
const native = await opensslEngine();
export const engines = [...(native ? [native] : []), wasmEngine()];

/** Why tests of the native engine are skipped, or false. */
export const noNative = native ? false : 'koffi cannot load here: npm install koffi';

/** Why nothing can be said of two lanes here, or false: they are quicker where the processor has instructions for SHA-256. */
export const noLanes = hasInstructions() ? false : 'this processor has no sha_ni, or does not tell';

function hasInstructions(): boolean {
  try {
    return native !== undefined && /\bsha_ni\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return false;
  }
}
