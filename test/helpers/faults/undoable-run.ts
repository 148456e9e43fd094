/** The files of one run with a snapback, and the check that whatever became of it can be undone. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OfflineSource } from '../devices/offline-source.js';
import type { CliResult } from '../program/cli.js';
import { runInProcess } from '../program/in-process.js';

export class UndoableRun {
  readonly source: OfflineSource;
  readonly folder: string;
  readonly destination: string;
  readonly snapback: string;

  /** Makes `folder`, which lies on the file system that is to be tested. */
  constructor(source: OfflineSource, folder: string) {
    mkdirSync(folder);
    this.source = source;
    this.folder = folder;
    this.destination = join(folder, 'destination');
    this.snapback = join(folder, 'snapback');
  }

  /** The end of the command line of a run. */
  get words(): readonly string[] {
    return ['--snapback', this.snapback, this.destination];
  }

  /** As before any run: the former content, no snapback. */
  reset(): void {
    writeFileSync(this.destination, this.source.former);
    rmSync(this.snapback, { force: true });
  }

  assertHolds(content: 'former' | 'new', when: string): void {
    const expected = content === 'former' ? this.source.former : this.source.content;
    assert.ok(readFileSync(this.destination).equals(expected), `${content} content ${when}`);
  }

  /**
   * Applies the snapback and asserts that the former content is back. One that holds nothing durable
   * yet is refused, and one may not exist: then the destination must not have been written.
   */
  async undo(): Promise<void> {
    if (existsSync(this.snapback)) {
      const { status, stderr } = await runInProcess(['--apply', this.snapback, this.destination]);
      if (status !== 0) assert.match(stderr, NOTHING_DURABLE, `the undo ended with ${status}`);
    }
    this.assertHolds('former', 'after the undo');
  }

  /** What a run says of the state it left has to be true. */
  assertTruthful({ stderr }: CliResult): void {
    if (/Nothing was (written|changed)|was not touched/.test(stderr)) {
      this.assertHolds('former', 'where nothing is said to be written');
    }
  }
}

/** Cut off before its first group was whole. */
const NOTHING_DURABLE =
  /nothing needs to be undone|: it is empty|: it holds only the first line|: it is cut off/;
