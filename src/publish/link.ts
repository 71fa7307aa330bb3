import { BoxcarError } from '../errors.ts';
import { Bandwidth } from '../http/bandwidth.ts';
import type { TargetReference } from '../oci/reference.ts';

/** Most bytes a second in each direction; `undefined` for any number. */
export interface LinkRates {
  down?: number;
  up?: number;
}

const factors = { '': 1, k: 1e3, m: 1e6, g: 1e9, ki: 1024, mi: 1024 ** 2, gi: 1024 ** 3 };

/** Slower than that (bytes a second) is a unit left out: no model would ever arrive. */
const slowest = 1000;
/** Faster is no number that anyone means. */
const fastest = 1e15;

/** `200M` for both directions, `down=200M,up=50M` for each, or one of the two. @throws BoxcarError `usage`. */
export function parseBandwidth(text: string): LinkRates {
  const both = rateIn(text);
  if (both !== undefined) return { down: both, up: both };
  const rates: LinkRates = {};
  for (const part of text.split(',')) {
    const [, direction, given] = /^ *(down|up)=(.*)$/.exec(part) ?? [];
    const rate = given === undefined ? undefined : rateIn(given);
    if (rate === undefined || rates[direction as 'down' | 'up'] !== undefined) throw notBandwidth(text);
    rates[direction as 'down' | 'up'] = rate;
  }
  return rates;
}

/** Bytes a second: `200M`, `1.5MB/s`, `25MiB`. `undefined` for anything else; `Mb` is bits to those who write it. */
function rateIn(text: string): number | undefined {
  const [, digits, unit = ''] =
    /^ *(\d{1,15}(?:\.\d{1,3})?) ?([kKmMgG]?i?)(?:B|B\/s|\/s)? *$/.exec(text) ?? [];
  const factor = factors[unit.toLowerCase() as keyof typeof factors];
  const rate = Math.round(Number(digits) * (factor ?? Number.NaN));
  return rate >= slowest && rate <= fastest ? rate : undefined;
}

function notBandwidth(text: string): BoxcarError {
  return new BoxcarError(
    `--bandwidth must be a number of bytes a second such as 200M, or down=200M,up=50M, not ${JSON.stringify(text)}`,
    {
      code: 'usage',
      side: 'local',
      hint: 'K, M and G are thousands, KiB, MiB and GiB are 1,024; at least 1K; bytes, not bits: 200 Mbit/s is 25M',
    },
  );
}

/** The lines to the hub and to the registry, as far as they are capped: by one bucket each, whatever the number of workers. */
export class Link {
  readonly down: Bandwidth | undefined;
  readonly up: Bandwidth | undefined;

  constructor({ down, up }: LinkRates, target: Pick<TargetReference, 'kind'>) {
    this.down = down === undefined ? undefined : new Bandwidth(down);
    // Nothing is sent to a directory.
    this.up = up === undefined || target.kind === 'layout' ? undefined : new Bandwidth(up);
  }

  /** What has an effect. */
  get rates(): LinkRates {
    return {
      ...(this.down ? { down: this.down.bytesPerSecond } : {}),
      ...(this.up ? { up: this.up.bytesPerSecond } : {}),
    };
  }

  /** `bandwidth: at most 200 MB/s down from the hub, 50 MB/s up to the registry`; `undefined` where nothing is capped. */
  get words(): string | undefined {
    const capped = [
      ...(this.down ? [`${speed(this.down)} down from the hub`] : []),
      ...(this.up ? [`${speed(this.up)} up to the registry`] : []),
    ];
    return capped.length === 0 ? undefined : `bandwidth: at most ${capped.join(', ')}`;
  }

  /** A push that ends lets what it has in hand go: a piece or a chunk a worker, instead of cutting the upload. */
  lift(): void {
    this.down?.lift();
    this.up?.lift();
  }
}

function speed({ bytesPerSecond }: Bandwidth): string {
  const [divisor, unit] =
    bytesPerSecond >= 1e9 ? [1e9, 'GB'] : bytesPerSecond >= 1e6 ? [1e6, 'MB'] : [1e3, 'KB'];
  return `${Number((bytesPerSecond / divisor).toPrecision(4))} ${unit}/s`;
}
