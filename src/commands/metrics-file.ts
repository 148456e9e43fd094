/** The file of `--metrics`: read and replaced, never mixed up with a file of anything else. */

import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  realpathSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { reasonOf } from '../base/errno.js';
import { LvmsyncError } from '../base/errors.js';
import { identifyPath, identityKey } from '../device/topology.js';
import { replaceDurably } from '../host/durable-file.js';
import type { Reporter } from '../run/reporter.js';
import { FIRST_WORDS, formatMetrics, type Labels, type RunFigures } from './metrics.js';

/** A program of another user, such as node-exporter, reads it. */
const MODE = 0o644;
/** Bytes. One of ours has some thousand. */
const LARGEST = 1024 * 1024;

export class MetricsFile {
  readonly #path: string;
  readonly #labels: Labels;

  /**
   * `others`: what else the run reads or writes. Throws (usage) where the file could not be written, is not one
   * of ours, or one of the others, before anything is done.
   */
  constructor(path: string, labels: Labels, others: readonly string[] = []) {
    this.#path = path;
    this.#labels = labels;
    const folder = dirname(path);
    try {
      accessSync(folder, constants.W_OK | constants.X_OK);
    } catch (cause) {
      const why = `${folder}: this directory cannot be written (${codeOf(cause)})`;
      throw new LvmsyncError('usage', `--metrics: ${why}`, { state: 'Nothing was done.', cause });
    }
    readFormer(path);
    if (others.some((other) => isSamePlace(path, other))) {
      throw notOurs(path, 'this run uses that file for something else');
    }
  }

  /** Replaces it. Never throws: a run is what it is, whether its figures can be kept or not. */
  save(figures: RunFigures, reporter: Reporter): void {
    const path = this.#path;
    // Nobody holds a lock: a run that another one keeps off their destination ends at any moment.
    const draft = `${path}.${process.pid}.draft`;
    try {
      const text = formatMetrics(readFormer(path), this.#labels, figures);
      replaceDurably(path, text, { mode: MODE, draft });
    } catch (error) {
      const isOurs = error instanceof LvmsyncError;
      const why = isOurs ? error.message : `--metrics: ${path}: not written (${codeOf(error)})`;
      // Also when quiet: nobody would see why the figures grow old.
      reporter.error(`${why}: the run is not affected, but its figures were not saved`);
    }
  }
}

/** By its name, since it is replaced, or by what is there. */
function isSamePlace(path: string, other: string): boolean {
  if (nameOf(path) === nameOf(other)) return true;
  const [one, two] = [path, other].map(identifyPath);
  return one !== undefined && two !== undefined && identityKey(one) === identityKey(two);
}

function nameOf(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return resolve(path);
  }
}

/** The text of the file; nothing where there is none. Throws (usage) unless it is a file of ours. */
function readFormer(path: string): string {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return '';
    const why = code === 'ELOOP' ? 'it is a symbolic link' : `it cannot be read (${code})`;
    throw notOurs(path, why, error);
  }
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw notOurs(path, 'it is not a regular file');
    if (status.size > LARGEST) throw notOurs(path, 'it is not a metrics file of lvmsync');
    const bytes = Buffer.alloc(status.size);
    const text = bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0));
    if (text !== '' && !text.startsWith(FIRST_WORDS)) {
      throw notOurs(path, 'it is not a metrics file of lvmsync');
    }
    return text;
  } finally {
    closeSync(fd);
  }
}

function notOurs(path: string, why: string, cause?: unknown): LvmsyncError {
  return new LvmsyncError('usage', `--metrics: ${path}: ${why}, so it was not replaced`, {
    state: 'Nothing was done.',
    cause,
  });
}

function codeOf(error: unknown): string {
  return reasonOf(error);
}
