import { opensslEngine } from '../../src/digest/sha256-openssl.ts';
import { wasmEngine } from '../../src/digest/sha256-wasm.ts';

/** Every engine that this machine has; the native one is an optional dependency. */
const native = await opensslEngine();
export const engines = [...(native ? [native] : []), wasmEngine()];

/** Why tests of the native engine are skipped, or false. */
export const noNative = native ? false : 'koffi cannot load here: npm install koffi';
