/** A run on genuine images, recorded from real LVM: what every form of the program has to be able to do. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readGoldenImage } from '../golden.js';

const FILES = { cowStore: 'cow-store.img', origin: 'origin.img', destination: 'destination.img' };

export class GoldenSync {
  readonly folder: string;
  private readonly content = readGoldenImage('thick-4k/origin.img');

  /** Puts a COW store, its origin, and a copy of the snapshot into the folder. */
  constructor(folder: string) {
    this.folder = folder;
    writeFileSync(join(folder, FILES.cowStore), readGoldenImage('thick-4k/cow-store.img'));
    writeFileSync(join(folder, FILES.origin), this.content);
    writeFileSync(join(folder, FILES.destination), readGoldenImage('thick-4k/snapshot.img'));
  }

  /** Names the source; `folder` is what the program calls it, if it sees it elsewhere. */
  source(folder = this.folder): string[] {
    return [
      '--cow-store',
      join(folder, FILES.cowStore),
      '--data-source',
      join(folder, FILES.origin),
    ];
  }

  destination(folder = this.folder): string {
    return join(folder, FILES.destination);
  }

  isDone(): boolean {
    return readFileSync(this.destination()).equals(this.content);
  }

  assertNotDone(): void {
    assert.ok(!this.isDone(), 'before the run the destination differs');
  }
}
