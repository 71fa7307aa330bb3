// Preloaded (`--import`): from now on the clock jumps by hours and days, back and forth, several times a second. What
// measures time by a monotonic clock does not notice.
const real = Date;
const hour = 3_600_000;
const jumps = [0, 5 * hour, -3 * hour, 40 * 24 * hour, -400 * 24 * hour, hour / 2];
const turnMs = 150;
const now = () => real.now() + (jumps[Math.floor(performance.now() / turnMs) % jumps.length] as number);

globalThis.Date = class extends real {
  constructor(...given: []) {
    if (given.length === 0) super(now());
    else super(...given);
  }
  static override now = now;
} as DateConstructor;
