import assert from 'node:assert/strict';
import { closeSync, openSync, readSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { someOf } from '../../helpers/faults/campaign.js';
import { ENGINES, syncs } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { assertSameContent, writeRandom } from '../harness/content.js';
import { withThickCopy } from '../harness/copies.js';
import { KiB, MiB } from '../harness/lvm.js';

const random = new Random();
const CHUNK = 4 * KiB;

function lab(t: TestContext) {
  const readers: CachingReader[] = [];
  // Before the volumes go.
  t.after(() => {
    for (const reader of readers) reader.close();
  });
  const made = withThickCopy({ random, size: 8 * MiB, chunkSize: CHUNK, changes: 0, until: t });
  const openReader = (path: string): CachingReader => {
    const reader = new CachingReader(path);
    readers.push(reader);
    return reader;
  };
  return { ...made, openReader };
}

/**
 * Reads as any program does that knows nothing of O_DIRECT. What it read stays in the page cache as
 * long as it is open.
 */
class CachingReader {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, 'r');
  }

  read(offset: number, length: number): Buffer {
    const content = Buffer.alloc(length);
    for (let done = 0; done < length; ) {
      const count = readSync(this.#fd, content, done, length - done, offset + done);
      assert.ok(count > 0);
      done += count;
    }
    return content;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

for (const engine of someOf(ENGINES, 1, random)) {
  describe(`the page cache (${engine})`, () => {
    test('of a COW store is old as soon as the kernel adds to it, and is not what is read', (t) => {
      const { origin, copy, snapshot, openReader } = lab(t);
      const store = openReader(`/dev/mapper/${snapshot.dmName}-cow`);
      const firstArea = { offset: CHUNK, length: CHUNK };
      const cached = store.read(firstArea.offset, firstArea.length);
      writeRandom(origin.path, random, [{ offset: 3 * CHUNK, length: CHUNK }]);
      const stillCached = store.read(firstArea.offset, firstArea.length);
      assert.ok(stillCached.equals(cached), 'the cache knows nothing of the new exception');
      assert.equal(syncs([snapshot.path, copy.path], { engine }), CHUNK);
      assertSameContent(origin.path, copy.path);
    });

    test('of a destination shows what was written to those who had read it before', (t) => {
      const { origin, copy, snapshot, openReader } = lab(t);
      const reader = openReader(copy.path);
      const before = reader.read(0, copy.size);
      writeRandom(origin.path, random, [
        { offset: 3 * CHUNK, length: CHUNK },
        { offset: 5 * MiB + 100, length: 300 },
      ]);
      syncs([snapshot.path, copy.path], { engine });
      const after = reader.read(0, copy.size);
      assert.ok(!after.equals(before));
      assert.ok(after.equals(openReader(origin.path).read(0, origin.size)), 'something is old');
      assertSameContent(origin.path, copy.path);
    });
  });
}
