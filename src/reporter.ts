/**
 * What a person reads, on stderr. Everything is written in whole lines, each by one call, because an
 * old sender that started us waits for the end of a line it saw the beginning of. The one exception,
 * the progress line that rewrites itself, is for terminals.
 */

import { LvmsyncError } from './errors.js';
import type { Verbosity } from './options.js';
import { formatProgress, type Progress, ProgressMeter } from './progress.js';
import { escapeText } from './text.js';

export interface ReporterOptions {
  readonly verbosity: Verbosity;
  /** Takes text for stderr at once and in order. */
  readonly write: (text: string) => void;
  readonly isTTY: boolean;
  /** Width of the terminal, in characters. */
  readonly columns?: number | undefined;
  /** A clock in milliseconds. */
  readonly now?: () => number;
}

/** What a run moved, for the lines at its end. */
export interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
  /** Size of the source in bytes; undefined where the change stream does not tell it. */
  readonly sourceSize: number | undefined;
}

const RANK = { quiet: 0, normal: 1, verbose: 2, debug: 3 } as const;

const ERASE_LINE = '\r\x1b[2K';
const TERMINAL_INTERVAL_MS = 200;
const LOG_INTERVAL_MS = 10_000;

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #now: () => number;
  readonly #meter = new ProgressMeter();
  /** A progress line stands on the terminal. */
  #drawn = false;
  #shownAt: number;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    // A terminal shows the first report at once; a log only a run that takes long.
    this.#shownAt = options.isTTY ? Number.NEGATIVE_INFINITY : this.#now();
  }

  error(text: string): void {
    this.#line(`ERROR: ${text}`);
  }

  warn(text: string): void {
    this.#lineFrom('normal', `WARNING: ${text}`);
  }

  info(text: string): void {
    this.#lineFrom('normal', text);
  }

  verbose(text: string): void {
    this.#lineFrom('verbose', text);
  }

  debug(text: string): void {
    this.#lineFrom('debug', text);
  }

  /** May be called as often as one likes: most calls draw nothing. */
  progress(progress: Progress): void {
    if (!this.#shows('normal')) return;
    const now = this.#now();
    this.#meter.note(progress, now);
    const interval = this.#options.isTTY ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS;
    if (now - this.#shownAt < interval) return;
    this.#shownAt = now;
    const text = formatProgress(progress, this.#meter.bytesPerSecond(progress, now));
    if (this.#options.isTTY) this.#draw(text);
    else this.#line(text);
  }

  /** Takes the progress line off the terminal. */
  clearProgress(): void {
    if (this.#drawn) this.#options.write(ERASE_LINE);
    this.#drawn = false;
  }

  /** The lines at the end of a good run; scripts of the Ruby lvmsync look for the first two. */
  transferred({ bytes, seconds, sourceSize }: Transfer): void {
    this.info(`Transferred ${bytes} bytes in ${seconds.toFixed(2)} seconds`);
    if (bytes === 0) this.info('Nothing had changed, so there was nothing to transfer.');
    else if (sourceSize !== undefined) {
      const factor = (sourceSize / bytes).toFixed(2);
      this.info(`You transferred your changes ${factor}x faster than a full dd!`);
    }
  }

  /** The last words of a failed run, at every verbosity; where it happened only with `debug`. */
  fatal(error: unknown): void {
    for (const line of fatalLines(error)) this.#line(line);
    if (!this.#shows('debug')) return;
    for (const line of traceLines(error)) this.#line(line);
  }

  #shows(level: Verbosity): boolean {
    return RANK[this.#options.verbosity] >= RANK[level];
  }

  #lineFrom(level: Verbosity, text: string): void {
    if (this.#shows(level)) this.#line(text);
  }

  #line(text: string): void {
    const erase = this.#drawn ? ERASE_LINE : '';
    this.#drawn = false;
    this.#options.write(`${erase}${escapeText(text)}\n`);
  }

  #draw(text: string): void {
    // The last column stays free: a line that fills it wraps on some terminals.
    const width = Math.max(1, (this.#options.columns || 80) - 1);
    this.#options.write(ERASE_LINE + escapeText(text).slice(0, width));
    this.#drawn = true;
  }
}

function fatalLines(error: unknown): string[] {
  if (!(error instanceof LvmsyncError)) {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return [
      `FATAL ERROR: unexpected: ${text}`,
      'This is a mistake in lvmsync. Please report it with what the same command prints under -d.',
    ];
  }
  const more = [error.state, error.hint].filter((line) => line !== undefined);
  return [`FATAL ERROR: ${error.message}`, ...more];
}

/** The stack of an error and of what caused it. */
function traceLines(error: unknown): string[] {
  const lines: string[] = [];
  const seen = new Set<unknown>();
  let prefix = '';
  for (let link = error; link instanceof Error && !seen.has(link); link = link.cause) {
    seen.add(link);
    lines.push(...`${prefix}${link.stack ?? link.message}`.split('\n'));
    prefix = 'caused by: ';
  }
  return lines;
}
