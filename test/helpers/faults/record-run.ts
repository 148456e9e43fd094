/**
 * Runs that are recorded for simulated power cuts. Writes and flushes of the core are recorded by its
 * table of system calls. What JavaScript does itself goes past it: the flush of the snapback's folder
 * and a change of a file's length are noted here. The empty file that openSync makes needs no note:
 * it has no name for sure before that flush, and no content before its first write.
 */

import fs, { readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { mock } from 'node:test';
import { native } from '../../../src/host/native.js';
import type { Random } from '../random.js';
import { FOLDER_FLUSHED, type Recording } from './crash-simulator.js';
import { type FaultPlan, syscalls } from './scripted-syscalls.js';

const NO_FAULTS: FaultPlan = { first: 1, run: 0, error: 0, most: 0 };

export interface RecordedRun {
  readonly recording: Recording;
  /** It ended as one whose exit status is 0. */
  readonly succeeded: boolean;
}

export interface RunToRecord {
  /** Files that are there before it, and may be written. */
  readonly files: readonly string[];
  readonly run: () => Promise<void>;
  readonly faults?: FaultPlan;
  /** Microseconds that a call may take longer. */
  readonly dawdle: number;
  readonly garbage: Buffer;
}

/** Never rejects: a run may be made to fail. */
export async function recordRun(
  { files, run, faults = NO_FAULTS, dawdle, garbage }: RunToRecord,
  random: Random,
): Promise<RecordedRun> {
  const before = new Map(files.map((path) => [path, readFileSync(path)]));
  native.selectEngine('threads');
  syscalls.setFaults(faults);
  syscalls.startRecording(dawdle, random.below(2 ** 32));
  const restore = noteFolderFlushes();
  const succeeded = await run().then(
    () => true,
    () => false,
  );
  restore();
  const events = syscalls.takeRecording();
  syscalls.takeOutcome();
  return { recording: { before, events, garbage }, succeeded };
}

function noteFolderFlushes(): () => void {
  const real = fs.fsyncSync;
  const watched = mock.method(fs, 'fsyncSync', (fd: number) => {
    real(fd);
    syscalls.note(FOLDER_FLUSHED);
  });
  syncBuiltinESMExports();
  return () => {
    watched.mock.restore();
    syncBuiltinESMExports();
  };
}

/** As if the file had never been flushed, or not for the time of that number, counted from 0. */
export function withoutFlushes(recording: Recording, path: string, number?: number): Recording {
  const flushes = recording.events.flatMap((event) =>
    event.kind === 'flush' && event.path === path ? [event.id] : [],
  );
  const gone = new Set(number === undefined ? flushes : flushes.slice(number, number + 1));
  const events = recording.events.filter((event) => event.kind === 'note' || !gone.has(event.id));
  return { ...recording, events };
}

export function withoutFolderFlush(recording: Recording): Recording {
  const events = recording.events.filter(
    (event) => event.kind !== 'note' || event.path !== FOLDER_FLUSHED,
  );
  return { ...recording, events };
}
