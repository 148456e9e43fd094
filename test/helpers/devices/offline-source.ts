/** A source that needs no LVM: a data file, and a COW store that names some of its chunks. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeCowStore } from './cow-store.js';

export interface OfflineSource {
  readonly data: string;
  readonly cowStore: string;
  /** The words of the command line that name it. */
  readonly words: readonly string[];
  readonly content: Buffer;
  /** What a destination has to hold before a sync makes it equal to the source. */
  readonly former: Buffer;
}

export interface OfflineSourceSpec {
  readonly chunkSize?: number;
  /** Bytes. */
  readonly size?: number;
  readonly changedChunks: readonly number[];
}

/** Every chunk of the data says where it is; in the former content a changed one says that it is old. */
export function offlineSource(folder: string, spec: OfflineSourceSpec): OfflineSource {
  const { chunkSize = 4096, size = 1024 * 1024, changedChunks } = spec;
  const content = Buffer.alloc(size);
  for (let at = 0; at < size; at += chunkSize) {
    content.fill(`chunk at ${at} `, at, Math.min(size, at + chunkSize));
  }
  const former = Buffer.from(content);
  for (const chunk of changedChunks) {
    const at = chunk * chunkSize;
    former.fill(`former content at ${at} `, at, Math.min(size, at + chunkSize));
  }
  const data = join(folder, 'data.img');
  const cowStore = join(folder, 'cow.img');
  writeFileSync(data, content);
  writeCowStore(cowStore, { chunkSize, oldChunks: changedChunks });
  const words = ['--cow-store', cowStore, '--data-source', data];
  return { data, cowStore, words, content, former };
}
