import assert from 'node:assert/strict';
import { closeSync, openSync, readSync } from 'node:fs';
import { test } from 'node:test';
import { writeRandom } from '../harness/content.js';
import { KiB, MiB } from '../harness/lvm.js';
import { proveCycles, rollBack } from '../harness/prove-cycles.js';
import { discard, mappedBytes } from '../harness/thin.js';

function readAt(path: string, offset: number, length: number): Buffer {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(length);
    assert.equal(readSync(fd, bytes, 0, length, offset), length);
    return bytes;
  } finally {
    closeSync(fd);
  }
}

proveCycles('thin', {
  thinCopy: true,
  further: (get, random) => {
    test('what was discarded between two turns is zero in the copy, and comes back with a rollback', async () => {
      const laboratory = get();
      const { origin, copy } = laboratory;
      const zeros = (offset: number, length: number): boolean =>
        readAt(copy.path, offset, length).equals(Buffer.alloc(length));
      writeRandom(origin.path, random, [{ offset: 0, length: 2 * MiB }]);
      const states = [laboratory.turnSucceeds()];
      const mapped = mappedBytes(copy);

      discard(origin.path, 0, MiB);
      states.push(laboratory.turnSucceeds());
      assert.ok(zeros(0, MiB), 'what was discarded');
      assert.equal(mappedBytes(copy), mapped - MiB, 'its room was given back');

      // Part of it written again, some of that discarded again; and what comes and goes within the turn.
      writeRandom(origin.path, random, [{ offset: 128 * KiB, length: 256 * KiB }]);
      discard(origin.path, 128 * KiB, 128 * KiB);
      writeRandom(origin.path, random, [{ offset: MiB, length: 64 * KiB }]);
      discard(origin.path, MiB, 512 * KiB);
      states.push(laboratory.turnSucceeds());
      assert.ok(zeros(0, 256 * KiB) && !zeros(256 * KiB, 128 * KiB) && zeros(MiB, 512 * KiB));

      const [first, second, third] = states;
      assert.equal(await rollBack(laboratory, '--steps', '1'), second, 'one step back');
      assert.equal(await rollBack(laboratory, '--steps', '1'), first, 'two steps back');
      assert.equal(await rollBack(laboratory, '--redo'), second, 'one step forward');
      assert.equal(await rollBack(laboratory, '--redo'), third, 'two steps forward');
      assert.equal(await rollBack(laboratory, '--steps', '2'), first, 'both at once');
      assert.equal(await rollBack(laboratory, '--redo'), third, 'forward again');
      laboratory.turnSucceeds();
    });
  },
});
