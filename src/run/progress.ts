/** How far a run is, how fast, and how long it will still take. Pure but for the samples it keeps. */

import { humanDuration, humanSize } from '../base/text.js';

export interface Progress {
  /** The activity, as the line begins: "Sending", "Applying". */
  readonly activity: string;
  readonly doneBytes: number;
  /** Undefined where the total is not known before the end. */
  readonly totalBytes: number | undefined;
  /** The sum of all that was compressed so far; undefined or empty where nothing was. */
  readonly packed?: Packed | undefined;
  /** Who shows it already: a sender that started us, or perhaps the one whose output we read. */
  readonly toldBy?: 'sender' | 'pipe' | undefined;
  /** Work for the run before it moves or compares anything. */
  readonly isPreparation?: true;
}

/** Bytes before a compression and after it. */
export interface Packed {
  readonly plainBytes: number;
  readonly packedBytes: number;
}

/** The sum over all streams of a run. */
export function sumOfPacked(each: readonly Packed[]): Packed {
  return {
    plainBytes: each.reduce((sum, { plainBytes }) => sum + plainBytes, 0),
    packedBytes: each.reduce((sum, { packedBytes }) => sum + packedBytes, 0),
  };
}

/** How full something is that fills while a run depends on it. */
export interface Fill {
  /** VG/LV of the snapshot, or VG/POOL. */
  readonly name: string;
  readonly what: 'COW store' | 'data' | 'metadata';
  readonly percent: number;
}

/** The rate is that of this much time past, so that it follows a link that slows down. */
const WINDOW_MS = 10_000;
/** Bounds how many samples a window holds. */
const SAMPLE_INTERVAL_MS = 200;

interface Sample {
  readonly at: number;
  readonly bytes: number;
}

export class ProgressMeter {
  #samples: Sample[] = [];

  /** To be called with every report; `now` is in milliseconds. */
  note({ doneBytes }: Progress, now: number): void {
    const newest = this.#samples.at(-1);
    if (newest !== undefined && doneBytes < newest.bytes) this.#samples = [];
    else if (newest !== undefined && now - newest.at < SAMPLE_INTERVAL_MS) return;
    // One sample from before the window stays: two slow reports must still give a rate.
    const recent = this.#samples.findIndex(({ at }) => now - at <= WINDOW_MS);
    this.#samples = this.#samples.slice(recent < 0 ? -1 : recent);
    this.#samples.push({ at: now, bytes: doneBytes });
  }

  /** Undefined until two reports lie apart in time, or after they went back to an earlier byte. */
  bytesPerSecond({ doneBytes }: Progress, now: number): number | undefined {
    const oldest = this.#samples[0];
    if (oldest === undefined || now <= oldest.at) return undefined;
    return ((doneBytes - oldest.bytes) * 1000) / (now - oldest.at);
  }
}

/** The other facts in a line of progress, and how long it may be. */
export interface ProgressDetails {
  readonly fills?: readonly Fill[];
  /** Characters there are: what does not fit is left out, from the end. */
  readonly width?: number;
}

/**
 * `Sending 1.5 GiB of 3.0 GiB (50.0%), 100.0 MiB/s, 0:15 left, COW 12%, LZ4 2.1x`; what is not known is
 * left out.
 */
export function formatProgress(
  progress: Progress,
  bytesPerSecond: number | undefined,
  { fills = [], width = Number.POSITIVE_INFINITY }: ProgressDetails = {},
): string {
  const { activity, doneBytes, totalBytes } = progress;
  const seconds = secondsLeft(progress, bytesPerSecond);
  const ratio = compressionRatio(progress);
  const first = `${activity} ${humanSize(doneBytes)}${formatShare(doneBytes, totalBytes)}`;
  const parts = [
    bytesPerSecond === undefined ? undefined : `${humanSize(bytesPerSecond)}/s`,
    seconds === undefined ? undefined : `${humanDuration(seconds)} left`,
    formatFills(fills),
    ratio === undefined ? undefined : `LZ4 ${ratio.toFixed(1)}x`,
  ];
  let line = first.slice(0, width);
  for (const part of parts) {
    if (part === undefined) continue;
    if (line.length + part.length + 2 > width) break;
    line += `, ${part}`;
  }
  return line;
}

/** Undefined where it is unknown. */
export function secondsLeft(
  { doneBytes, totalBytes }: Progress,
  bytesPerSecond: number | undefined,
): number | undefined {
  if (totalBytes === undefined || bytesPerSecond === undefined || bytesPerSecond <= 0) return;
  return Math.max(0, totalBytes - doneBytes) / bytesPerSecond;
}

/** How many times smaller it became; undefined where nothing was compressed. */
export function compressionRatio({ packed }: Progress): number | undefined {
  if (packed === undefined || packed.packedBytes === 0) return undefined;
  return packed.plainBytes / packed.packedBytes;
}

/** The fullest of the COW stores, and of what a pool has. */
function formatFills(fills: readonly Fill[]): string | undefined {
  const fullest = (isCow: boolean): number[] =>
    fills.filter(({ what }) => (what === 'COW store') === isCow).map(({ percent }) => percent);
  const words = [
    ['COW', fullest(true)],
    ['pool', fullest(false)],
  ] as const;
  // Rounded down, so that 100 % is full.
  const known = words.flatMap(([name, percents]) =>
    percents.length === 0 ? [] : [`${name} ${Math.floor(Math.max(...percents))}%`],
  );
  return known.length === 0 ? undefined : known.join(', ');
}

function formatShare(doneBytes: number, totalBytes: number | undefined): string {
  if (totalBytes === undefined) return '';
  // Rounded down: 100 % is said only of a run that has nothing left to do.
  const permille = totalBytes === 0 ? 1000 : Math.floor((doneBytes / totalBytes) * 1000);
  return ` of ${humanSize(totalBytes)} (${(Math.min(1000, permille) / 10).toFixed(1)}%)`;
}
