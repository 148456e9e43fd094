/**
 * The messages for a person, or for a program as JSON, on stderr. Everything is written in whole lines, each by one
 * call, because an old sender that started us waits for the end of a line it saw the beginning of. The
 * one exception, the progress line that rewrites itself, is for terminals.
 */

import { escapeText, humanSize } from '../base/text.js';
import {
  fatalLines,
  fatalMessage,
  formatMessage,
  type Message,
  type Outcome,
  progressMessage,
  resultMessage,
  type Transfer,
  traceLines,
} from './message-lines.js';
import { type Fill, formatProgress, type Progress, ProgressMeter } from './progress.js';
import type { Verbosity } from './request.js';
import { RunTally } from './run-tally.js';

export interface ReporterOptions {
  readonly verbosity: Verbosity;
  /** Takes text for stderr at once and in order. */
  readonly write: (text: string) => void;
  readonly isTTY: boolean;
  /** Width of the terminal, in characters: asked for each line, since it may change. */
  readonly columns?: number | undefined;
  /** Default: text. */
  readonly form?: MessageForm;
  /** A clock in milliseconds. */
  readonly now?: () => number;
  /** The time of day. */
  readonly date?: () => Date;
}

export type MessageForm = 'text' | 'json';

type Level = Exclude<Verbosity, 'quiet'>;

const RANK = { quiet: 0, normal: 1, verbose: 2, debug: 3 } as const;

const ERASE_LINE = '\r\x1b[2K';
/** Milliseconds between two reports. */
const TERMINAL_INTERVAL_MS = 200;
const LOG_INTERVAL_MS = 10_000;
const JSON_INTERVAL_MS = 1000;

export class Reporter {
  /** The amount that the run has moved so far, whether it is shown or not. */
  readonly tally = new RunTally();
  readonly #options: ReporterOptions;
  readonly #now: () => number;
  readonly #date: () => Date;
  readonly #isJson: boolean;
  readonly #interval: number;
  readonly #meter = new ProgressMeter();
  #fills: readonly Fill[] = [];
  #transfer: Transfer | undefined;
  /** A progress line stands on the terminal. */
  #drawn = false;
  #shownAt: number;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#date = options.date ?? (() => new Date());
    this.#isJson = options.form === 'json';
    const interval = options.isTTY ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS;
    this.#interval = this.#isJson ? JSON_INTERVAL_MS : interval;
    // Who looks at it sees the first report at once; a log only a run that takes long.
    this.#shownAt = this.#isWatched ? Number.NEGATIVE_INFINITY : this.#now();
  }

  error(text: string): void {
    if (this.#isJson) this.#object({ type: 'error', message: text });
    else this.#line(`ERROR: ${text}`);
  }

  warn(text: string): void {
    if (!this.#shows('normal')) return;
    if (this.#isJson) this.#object({ type: 'warning', message: text });
    else this.#line(`WARNING: ${text}`);
  }

  info(text: string): void {
    this.#inform('normal', text);
  }

  verbose(text: string): void {
    this.#inform('verbose', text);
  }

  debug(text: string): void {
    this.#inform('debug', text);
  }

  /** A line that the remote host printed. */
  remote(line: string, level: Level = 'normal'): void {
    if (!this.#shows(level)) return;
    if (this.#isJson) this.#object({ type: 'remote', message: line });
    else this.#line(`remote:${line}`);
  }

  /** Whether a person reads what the remote host prints. */
  get showsRemote(): boolean {
    return !this.#isJson && this.#shows('normal');
  }

  /** Whether a run does well to find out what a report of its progress can tell. */
  get showsProgress(): boolean {
    return this.#shows('normal');
  }

  /** Sets the note in the next reports on the stores that fill during the run. */
  noteFills(fills: readonly Fill[]): void {
    this.#fills = fills;
  }

  /** May be called as often as one likes: most calls draw nothing. */
  progress(progress: Progress): void {
    this.tally.note(progress);
    if (!this.#shows('normal') || this.#isToldOf(progress)) return;
    const now = this.#now();
    this.#meter.note(progress, now);
    if (now - this.#shownAt < this.#interval) return;
    this.#shownAt = now;
    const bytesPerSecond = this.#meter.bytesPerSecond(progress, now);
    if (this.#isJson) {
      this.#object(progressMessage(progress, bytesPerSecond, this.#fills));
      return;
    }
    const fills = this.#fills;
    if (this.#options.isTTY) {
      this.#draw(formatProgress(progress, bytesPerSecond, { fills, width: this.#width }));
    } else this.#line(formatProgress(progress, bytesPerSecond, { fills }));
  }

  /** Takes the progress line off the terminal. */
  clearProgress(): void {
    if (this.#drawn) this.#options.write(ERASE_LINE);
    this.#drawn = false;
  }

  /**
   * The end of a good run, unless another process says it: for a person one line; elsewhere those of the Ruby
   * lvmsync to the letter, which scripts look for.
   */
  transferred(transfer: Transfer, toldBy?: Progress['toldBy']): void {
    const { bytes, seconds, sourceSize } = transfer;
    this.tally.settle(bytes);
    this.#transfer = transfer;
    if (this.#isJson || toldBy !== undefined) return;
    if (this.#options.isTTY && bytes > 0) {
      this.info(summaryOf(transfer));
      return;
    }
    this.info(`Transferred ${bytes} bytes in ${seconds.toFixed(2)} seconds`);
    if (bytes === 0) this.info('Nothing had changed, so there was nothing to transfer.');
    else if (sourceSize !== undefined) {
      const factor = (sourceSize / bytes).toFixed(2);
      this.info(`You transferred your changes ${factor}x faster than a full dd!`);
    }
  }

  /** The last object of a run that did not fail; a person has read it already. */
  result(outcome: Outcome): void {
    if (!this.#isJson || !this.#shows('normal')) return;
    this.#object(resultMessage(outcome, this.tally.bytes, this.#transfer));
  }

  /** The last words of a failed run, at every verbosity; where it happened only with `debug`. */
  fatal(error: unknown): void {
    const trace = this.#shows('debug') ? traceLines(error) : undefined;
    if (this.#isJson) this.#object(fatalMessage(error, trace));
    else for (const line of [...fatalLines(error), ...(trace ?? [])]) this.#line(line);
  }

  /** A person at a terminal, or a program that asked for it. */
  get #isWatched(): boolean {
    return this.#options.isTTY || this.#isJson;
  }

  #isToldOf({ toldBy }: Progress): boolean {
    if (this.#isJson) return false;
    return toldBy === 'sender' || (toldBy === 'pipe' && !this.#isWatched);
  }

  #shows(level: Verbosity): boolean {
    return RANK[this.#options.verbosity] >= RANK[level];
  }

  #inform(level: Level, text: string): void {
    if (!this.#shows(level)) return;
    if (this.#isJson) this.#object({ type: 'information', level, message: text });
    else this.#line(text);
  }

  #object(message: Message): void {
    this.#options.write(formatMessage(message, this.#date()));
  }

  #line(text: string): void {
    const erase = this.#drawn ? ERASE_LINE : '';
    this.#drawn = false;
    this.#options.write(`${erase}${escapeText(text)}\n`);
  }

  /** The last column stays free: a line that fills it wraps on some terminals. */
  get #width(): number {
    return Math.max(1, (this.#options.columns || 80) - 1);
  }

  #draw(text: string): void {
    this.#options.write(ERASE_LINE + escapeText(text));
    this.#drawn = true;
  }
}

function summaryOf({ bytes, seconds, sourceSize }: Transfer): string {
  const share = sourceSize === undefined || sourceSize === 0 ? '' : ` of ${humanSize(sourceSize)}`;
  const percent = share === '' ? '' : ` (${((bytes / (sourceSize ?? bytes)) * 100).toFixed(1)}%)`;
  const rate = seconds > 0 ? `, ${humanSize(bytes / seconds)}/s` : '';
  return `Transferred ${humanSize(bytes)}${share}${percent} in ${seconds.toFixed(1)} s${rate}`;
}
