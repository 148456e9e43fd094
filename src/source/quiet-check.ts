/** Writes to the source during a run: reported to the user, and a failure if the user asked for that. */

import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import type { Writes, WriteWatch } from '../device/write-watch.js';
import type { Reporter } from '../run/reporter.js';
import type { Source } from './source.js';

export interface QuietRules {
  /** A source that is written while it is read, or that cannot be watched, is a failure. */
  readonly requireQuiet: boolean;
  readonly reporter: Reporter;
}

/**
 * To be called before anything is written. Throws (sourceUnfit) where the source must be quiet and the
 * kernel would not tell whether it was.
 */
export function checkWatch(watch: WriteWatch, { requireQuiet, reporter }: QuietRules): void {
  if (watch.writes() !== 'unknown') return;
  if (requireQuiet) throw unwatched(watch, UNTOUCHED);
  reporter.verbose(`${watch.path}: writes to it during the run cannot be detected`);
}

/**
 * `writes` is what the watch said when the last byte had been read. Returns what the end of a stream
 * says of it; throws (sourceUnfit) where the source had to be quiet.
 */
export function reportWrites(
  watch: WriteWatch,
  writes: Writes,
  { requireQuiet, reporter }: QuietRules,
): { readonly sourceChanged: boolean } {
  if (writes === 'unknown' && requireQuiet) throw unwatched(watch);
  if (writes !== 'some') return { sourceChanged: false };
  const what = `${watch.path}: it was written while it was read, so the copy may be inconsistent`;
  const hint = `Stop what writes to it${watch.remedy}.`;
  if (requireQuiet) throw new LvmsyncError('sourceUnfit', what, { hint });
  reporter.warn(`${what}. ${hint}`);
  return { sourceChanged: true };
}

/** The failure of a source that had to be quiet, where nothing shows whether it was. */
export function unwatched(
  { path }: Pick<WriteWatch, 'path'>,
  context: { readonly state?: string } = {},
): LvmsyncError {
  return new LvmsyncError(
    'sourceUnfit',
    `${path}: writes to it during the run cannot be detected`,
    {
      ...context,
      hint: 'The kernel counts writes in /sys/dev/block, unless queue/iostats of the device is 0. Enable it, or leave out --require-quiet.',
    },
  );
}

/** A snapshot that broke after its list was read harms the next run, not this one. */
export async function reportLateFault(source: Source, reporter: Reporter): Promise<void> {
  const fault = await source.findLateFault();
  if (fault === undefined) return;
  reporter.warn(
    `${fault}. This run is not affected, but the snapshot cannot be used for another one`,
  );
}
