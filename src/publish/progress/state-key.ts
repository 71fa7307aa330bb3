import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto';

const mark = 'sealed:1';
/** Keys that are made for opening: a state has one salt, and one with thousands would keep the processor busy. */
const mostKeys = 4;

/**
 * Seals what is secret in a state that others can read: AES-256-GCM under a key made of a passphrase by scrypt (RFC
 * 7914). `sealed:1:<salt>:<nonce>:<tag and text>`, each in base64url. What it belongs to is authenticated with it, so
 * that it cannot be moved to another layer or publish.
 */
export class StateKey {
  readonly #passphrase: string;
  readonly #salt = randomBytes(16);
  readonly #keys = new Map<string, Buffer>();

  constructor(passphrase: string) {
    this.#passphrase = passphrase;
  }

  seal(text: string, belongsTo: string): string {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key(this.#salt), nonce);
    cipher.setAAD(Buffer.from(belongsTo));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    const parts = [this.#salt, nonce, Buffer.concat([cipher.getAuthTag(), sealed])];
    return [mark, ...parts.map((part) => part.toString('base64url'))].join(':');
  }

  /** @returns `undefined` where it was sealed with another key, or altered. */
  open(sealed: string, belongsTo: string): string | undefined {
    const [salt, nonce, text] = sealed
      .slice(mark.length + 1)
      .split(':')
      .map((part) => Buffer.from(part, 'base64url'));
    if (salt?.length !== 16 || nonce?.length !== 12 || !text || text.length < 16) return undefined;
    if (!this.#keys.has(salt.toString('base64url')) && this.#keys.size >= mostKeys) return undefined;
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key(salt), nonce);
      decipher.setAAD(Buffer.from(belongsTo));
      decipher.setAuthTag(text.subarray(0, 16));
      return Buffer.concat([decipher.update(text.subarray(16)), decipher.final()]).toString('utf8');
    } catch {
      return undefined;
    }
  }

  /** One derivation takes some 50 ms on purpose. */
  #key(salt: Buffer): Buffer {
    const name = salt.toString('base64url');
    const known = this.#keys.get(name) ?? scryptSync(this.#passphrase, salt, 32);
    this.#keys.set(name, known);
    return known;
  }
}

export function isSealed(text: string): boolean {
  return text.startsWith(`${mark}:`);
}

/** The key that the environment gives; an empty one is none. */
export function stateKeyOf(env: NodeJS.ProcessEnv): StateKey | undefined {
  return env.BOXCAR_STATE_KEY ? new StateKey(env.BOXCAR_STATE_KEY) : undefined;
}
