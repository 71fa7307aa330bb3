import type { BoxcarError } from '../../errors.ts';
import type { PublishEvent } from '../../publish/events.ts';
import { azureIssue } from './azure.ts';
import { githubAnnotation } from './github.ts';
import { JsonReporter } from './json.ts';
import { TextReporter } from './text.ts';
import { TtyReporter } from './tty.ts';

export const logStyles = ['auto', 'tty', 'text', 'azure', 'github', 'json'] as const;
export type LogStyle = (typeof logStyles)[number];
export type Environment = Readonly<Record<string, string | undefined>>;

/** Tells a person or a log how a publish goes, on stderr alone. */
export interface Reporter {
  event(event: PublishEvent): void;
  stopping(signal: NodeJS.Signals): void;
  error(error: BoxcarError, exitCode: number): void;
  /** Ends all output and gives the terminal back; safe to call twice. A publish that ends without it keeps bars (and the process) alive. */
  close(): void;
}

/** What a reporter needs of `process.stderr`. */
export interface Stderr {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
}

export interface ReporterOptions {
  style: LogStyle;
  /** Only warnings and errors. */
  quiet: boolean;
  /** Notices of level `detail`, and stacks under errors. */
  verbose: boolean;
  stderr: Stderr;
  env: Environment;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** IANA name of the zone of the times of day; the machine's own when left out. */
  timeZone?: string;
}

/** The options with what was left out filled in, as the styles get them. */
export type ReporterSettings = ReporterOptions & { now: () => number };

export function createReporter(options: ReporterOptions): Reporter {
  // Monotonic: rates and remaining times must not jump with the machine's clock.
  const now = options.now ?? (() => performance.timeOrigin + performance.now());
  const settings: ReporterSettings = { ...options, now };
  const style = styleFor(options.style, options.stderr, options.env);
  if (style === 'json') return new JsonReporter(settings);
  if (style === 'azure') return new TextReporter(settings, azureIssue);
  if (style === 'github') return new TextReporter(settings, githubAnnotation);
  if (style === 'tty' && !options.quiet) return new TtyReporter(settings);
  return new TextReporter(settings);
}

/** The style that `auto` stands for here. */
export function styleFor(style: LogStyle, stderr: Stderr, env: Environment): Exclude<LogStyle, 'auto'> {
  if (style !== 'auto') return style;
  const ci = isSet(env.CI) || isSet(env.TF_BUILD) || isSet(env.GITHUB_ACTIONS);
  if (stderr.isTTY && env.TERM !== 'dumb' && !ci) return 'tty';
  if (isSet(env.TF_BUILD)) return 'azure';
  if (isSet(env.GITHUB_ACTIONS)) return 'github';
  return 'text';
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value.toLowerCase() !== 'false';
}
