/** What campaigns against runs with a snapback share: a source, lanes to run in, and the kinds of runs. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import {
  type OfflineSource,
  type OfflineSourceSpec,
  offlineSource,
} from '../devices/offline-source.js';
import { LANES } from '../lanes.js';
import { assertSucceeds, CLI } from '../program/cli.js';
import { runInProcess } from '../program/in-process.js';
import { runProcess } from '../program/traced-cli.js';
import { UndoableRun } from './undoable-run.js';

export interface RunKind {
  readonly name: 'sync' | 'apply' | 'rollback';
  /** Makes the files as they are before it. */
  prepare(files: UndoableRun): Promise<void>;
  words(files: UndoableRun): readonly string[];
}

export class UndoLaboratory {
  readonly source: OfflineSource;
  /** The changes as a stream of kind file. */
  readonly stream: string;
  readonly kinds: readonly RunKind[];
  readonly #lanes: readonly UndoableRun[];

  /** All files lie in `folder`. Call `fill` before the first run. */
  constructor(folder: string, spec: OfflineSourceSpec) {
    this.source = offlineSource(folder, spec);
    this.stream = join(folder, 'stream');
    this.#lanes = Array.from(
      { length: LANES },
      (_, lane) => new UndoableRun(this.source, join(folder, `${lane}`)),
    );
    const runWords = (files: UndoableRun) => [...this.source.words, ...files.words];
    this.kinds = [
      { name: 'sync', prepare: async (files) => files.reset(), words: runWords },
      {
        name: 'apply',
        prepare: async (files) => files.reset(),
        words: (files) => ['--apply', this.stream, ...files.words],
      },
      {
        name: 'rollback',
        // Only the last run to a destination may be undone: each undoing has a run of its own.
        prepare: async (files) => {
          files.reset();
          assertSucceeds(await runInProcess(runWords(files)));
        },
        words: ({ snapback, destination }) => ['--apply', snapback, destination],
      },
    ];
  }

  async fill(): Promise<void> {
    const output = { stdout: this.stream };
    const dump = [CLI, ...this.source.words, '--stdout'];
    assertSucceeds(await runProcess(process.execPath, dump, output));
  }

  lane(number: number): UndoableRun {
    const files = this.#lanes[number];
    assert.ok(files, `lane ${number}`);
    return files;
  }
}
