import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { someOf } from '../../helpers/faults/campaign.js';
import { assertFails, ENGINES, lvmsync, syncs } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { assertSameContent, saveContent, sequential, writeRandom } from '../harness/content.js';
import { withThickCopy } from '../harness/copies.js';
import { KiB, MiB, reloadTable, replaceSegment } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

const random = new Random();
const CHUNK = 4 * KiB;

/** A place in the middle of what is changed, that every run must come by. */
const BAD = { offset: 6 * MiB + 8 * KiB, length: 4 * KiB };

/** An origin of which 4 to 8 MiB were written after its snapshot was made, and its former copy. */
function lab(t: TestContext) {
  const made = withThickCopy({ random, chunkSize: CHUNK, changes: 0, until: t });
  writeRandom(made.origin.path, random, sequential(4 * MiB, 4, MiB));
  return made;
}

for (const engine of someOf(ENGINES, 1, random)) {
  describe(`a device that fails (${engine})`, () => {
    test('the source cannot be read: the byte is named, a later run mends all', (t) => {
      const { origin, copy, snapshot } = lab(t);
      const healthy = tool('dmsetup', 'table', `${origin.dmName}-real`);
      replaceSegment(`${origin.dmName}-real`, BAD);
      const result = lvmsync([snapshot.path, copy.path], { engine });
      assertFails(result, EXIT.sourceRead, new RegExp(`${BAD.offset}`));
      reloadTable(`${origin.dmName}-real`, healthy);
      syncs([snapshot.path, copy.path], { engine });
      assertSameContent(origin.path, copy.path);
    });

    test('the source cannot be read for --stdout: the run fails and says where', (t) => {
      const { origin, snapshot } = lab(t);
      replaceSegment(`${origin.dmName}-real`, BAD);
      const stdoutFile = `${scratchFolder()}/stream`;
      const result = lvmsync(['--stdout', snapshot.path], { engine, stdoutFile });
      assertFails(result, EXIT.sourceRead, new RegExp(`${BAD.offset}`));
    });

    test('the COW store cannot be read: refused before the destination is touched', (t) => {
      const { copy, snapshot } = lab(t);
      const untouched = `${scratchFolder()}/untouched`;
      saveContent(copy.path, untouched);
      // The second area, which lies behind the first area and its 256 chunks.
      replaceSegment(`${snapshot.dmName}-cow`, { offset: 258 * CHUNK, length: CHUNK });
      const result = lvmsync([snapshot.path, copy.path], { engine });
      assertFails(result, EXIT.sourceRead, new RegExp(`${258 * CHUNK}`));
      assertSameContent(copy.path, untouched);
    });

    test('the destination cannot be written: the byte is named, a later run mends all', (t) => {
      const { origin, copy, snapshot } = lab(t);
      const healthy = tool('dmsetup', 'table', copy.dmName);
      replaceSegment(copy.dmName, BAD);
      const result = lvmsync([snapshot.path, copy.path], { engine });
      assertFails(result, EXIT.destinationWrite, new RegExp(`${BAD.offset}`));
      reloadTable(copy.dmName, healthy);
      syncs([snapshot.path, copy.path], { engine });
      assertSameContent(origin.path, copy.path);
    });

    test('the destination fails half-way: its snapback restores the former content', (t) => {
      const { copy, snapshot } = lab(t);
      const folder = scratchFolder();
      saveContent(copy.path, `${folder}/former`);
      const healthy = tool('dmsetup', 'table', copy.dmName);
      // Reads go on, as they do on a disk that has run out of spare sectors.
      replaceSegment(
        copy.dmName,
        BAD,
        (device, sector) => `flakey ${device} ${sector} 0 3600 1 error_writes`,
      );
      const words = ['--snapback', `${folder}/snapback`, snapshot.path, copy.path];
      assertFails(lvmsync(words, { engine }), EXIT.destinationWrite, /copy/);
      reloadTable(copy.dmName, healthy);
      assert.ok(existsSync(`${folder}/snapback`));
      syncs(['--apply', `${folder}/snapback`, copy.path]);
      assertSameContent(copy.path, `${folder}/former`);
    });
  });
}

test('the disk of the snapback is full: stops with the part that is covered undoable', (t) => {
  const { copy, snapshot } = lab(t);
  const folder = scratchFolder();
  saveContent(copy.path, `${folder}/former`);
  const small = `${folder}/small-disk`;
  tool('mkdir', small);
  tool('mount', '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', small);
  t.after(() => tool('umount', small));
  const words = ['--snapback', `${small}/snapback`, snapshot.path, copy.path];
  assertFails(lvmsync(words), EXIT.snapback, /not enough room/);
  assertSameContent(copy.path, `${folder}/former`);
  assertFails(lvmsync(['--force', ...words]), EXIT.snapback, /snapback/);
  syncs(['--apply', `${small}/snapback`, copy.path]);
  assertSameContent(copy.path, `${folder}/former`);
});
