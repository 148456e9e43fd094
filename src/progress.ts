/** How far a run is, how fast, and how long it will still take. Pure but for the samples it keeps. */

import { humanDuration, humanSize } from './text.js';

export interface Progress {
  /** What is being done, as the line begins: "Sending", "Applying". */
  readonly activity: string;
  readonly doneBytes: number;
  /** Undefined where the total is not known before the end. */
  readonly totalBytes: number | undefined;
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

/** `Sending 1.5 GiB of 3.0 GiB (50.0%), 100.0 MiB/s, 0:15 left`; what is not known is left out. */
export function formatProgress(progress: Progress, bytesPerSecond: number | undefined): string {
  const { activity, doneBytes, totalBytes } = progress;
  const parts = [`${activity} ${humanSize(doneBytes)}${formatShare(doneBytes, totalBytes)}`];
  if (bytesPerSecond !== undefined) parts.push(`${humanSize(bytesPerSecond)}/s`);
  if (totalBytes !== undefined && bytesPerSecond !== undefined && bytesPerSecond > 0) {
    const left = Math.max(0, totalBytes - doneBytes) / bytesPerSecond;
    parts.push(`${humanDuration(left)} left`);
  }
  return parts.join(', ');
}

function formatShare(doneBytes: number, totalBytes: number | undefined): string {
  if (totalBytes === undefined) return '';
  // Rounded down: 100 % is said only of a run that has nothing left to do.
  const permille = totalBytes === 0 ? 1000 : Math.floor((doneBytes / totalBytes) * 1000);
  return ` of ${humanSize(totalBytes)} (${(Math.min(1000, permille) / 10).toFixed(1)}%)`;
}
