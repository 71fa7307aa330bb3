const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'] as const;

interface Scale {
  divisor: number;
  unit: string;
  decimals: number;
}

function scaleOf(bytes: number): Scale {
  let index = 0;
  // 999.5 KB is shown as 1.0 MB, never as 1000 KB.
  while (index < units.length - 1 && Math.round(bytes / 1000 ** index) >= 1000) index++;
  const value = bytes / 1000 ** index;
  const decimals = index >= 3 ? Number(value < 99.95) : index === 2 ? Number(value < 9.95) : 0;
  return { divisor: 1000 ** index, unit: units[index] ?? 'B', decimals };
}

function inScale(bytes: number, { divisor, decimals }: Scale): string {
  return (bytes / divisor).toFixed(decimals);
}

/** Bytes in decimal units, as registries and drives count: `3.6 GB`, `212 MB`, `4 KB`. */
export function bytes(count: number): string {
  const scale = scaleOf(count);
  return `${inScale(count, scale)} ${scale.unit}`;
}

/** How much of it: `2.4/3.9 GB`, both in the unit of the whole. */
export function bytesOf(part: number, whole: number): string {
  const scale = scaleOf(whole);
  return `${inScale(part, scale)}/${inScale(whole, scale)} ${scale.unit}`;
}

/** Bytes per second: `212 MB/s`. */
export function speed(bytesPerSecond: number): string {
  return `${bytes(bytesPerSecond)}/s`;
}

/** Whole percent, 0 to 100; 100 only when all of it is done. */
export function percent(part: number, whole: number): number {
  return whole <= 0 ? 100 : Math.max(0, Math.min(100, Math.floor((part / whole) * 100)));
}

/** Seconds in words: `0.4 s`, `7 s`, `1 min 12 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  if (seconds < 0.95) return `${Math.max(0.1, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(whole, 60, 'min', 's');
  return pair(Math.round(whole / 60), 60, 'h', 'min');
}

function pair(count: number, size: number, large: string, small: string): string {
  const rest = count % size;
  return `${Math.floor(count / size)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`;
}

/** A wait in ms: as {@link duration}, but with a tenth below 10 s (`2.1 s`). */
export function delay(ms: number): string {
  return ms < 9950 ? `${(Math.max(0, ms) / 1000).toFixed(1)} s` : duration(ms / 1000);
}

/** How long ago, in one unit: `12 s`, `5 min`, `2 h`, `3 days`; a clock that went back makes it `0 s`. */
export function age(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  const hours = Math.floor(whole / 3600);
  return hours < 48 ? `${hours} h` : counted(Math.floor(hours / 24), 'day');
}

/** Seconds as a clock that counts down in a fixed place: `0:07`, `1:12`, `2:05:10`. */
export function countdown(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (count: number) => String(count).padStart(2, '0');
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** `1 file`, `14 files`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The time of day of a moment in ms since 1970, on this machine's clock or in a zone by name: `12:04:31`. */
export function timeOfDay(timeZone?: string): (now: number) => string {
  if (timeZone !== undefined) {
    const format = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium', timeZone });
    return (now) => format.format(now);
  }
  // Intl costs 8 MiB of memory once.
  const two = (count: number) => String(count).padStart(2, '0');
  return (now) => {
    const at = new Date(now);
    return [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':');
  };
}
