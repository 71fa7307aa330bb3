import { BoxcarError } from '../../errors.ts';
import { Refresh } from './refresh.ts';
import { type AccessToken, refreshAt } from './token-answer.ts';

/**
 * The access token in use, replaced before it expires, once for all who wait for the new one.
 *
 * Which token a request went with follows from when it was sent: all who ask after a refresh has begun get its token, so a
 * request has it if it was sent later than the last one who asked before.
 */
export class HeldToken {
  readonly #fetch: (signal: AbortSignal) => Promise<AccessToken>;
  readonly #now: () => number;
  #token: AccessToken | undefined;
  /** Requests that were sent later than that have `#token`. */
  #after = Number.POSITIVE_INFINITY;
  /** Requests that were sent later than that had a token, this one or another. */
  #firstAfter = Number.POSITIVE_INFINITY;
  #refresh: Refresh<AccessToken> | undefined;

  constructor(fetch: (signal: AbortSignal) => Promise<AccessToken>, now: () => number) {
    this.#fetch = fetch;
    this.#now = now;
  }

  /**
   * @param askedBefore when the one before asked for a header of whatever kind, by the clock.
   * @throws what the fetch throws; the signal's reason.
   */
  async get(askedBefore: number, signal?: AbortSignal): Promise<AccessToken> {
    const held = this.#token;
    if (held && this.#now() < refreshAt(held)) return held;
    signal?.throwIfAborted();
    if (!this.#refresh || this.#refresh.over) this.#refresh = this.#start(askedBefore);
    try {
      return await this.#refresh.wait(signal);
    } catch (error) {
      // A token server that fails for a moment stops nothing while there is a token that is still good.
      const passing = error instanceof BoxcarError && error.transient;
      if (passing && held && held === this.#token && this.#now() < held.expiresAt) return held;
      throw error;
    }
  }

  /** The token in use, if a request that was sent then went with it. */
  usedAt(sentAt: number): AccessToken | undefined {
    return sentAt > this.#after ? this.#token : undefined;
  }

  /** Whether a request that was sent then went with a token. */
  anyUsedAt(sentAt: number): boolean {
    return sentAt > this.#firstAfter;
  }

  /** It was refused. A new one may be on its way: that one is awaited. */
  drop(): void {
    this.#token = undefined;
  }

  /** Another kind of token is wanted: one that is on its way is for those only who wait for it already. */
  outdate(): void {
    this.#token = undefined;
    this.#refresh = undefined;
  }

  #start(askedBefore: number): Refresh<AccessToken> {
    const refresh: Refresh<AccessToken> = new Refresh(async (signal) => {
      const token = await this.#fetch(signal);
      this.#firstAfter = Math.min(this.#firstAfter, askedBefore);
      if (this.#refresh === refresh) {
        this.#token = token;
        this.#after = askedBefore;
      }
      return token;
    });
    return refresh;
  }
}
