// F14: a volume that a guest uses as a whole as its physical volume. Its copy bears the same label.

import assert from 'node:assert/strict';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { describe, test } from 'node:test';
import { assertFails, lvmsync, syncs } from '../../helpers/program/cli.js';
import { saveContent } from '../harness/content.js';
import { withThickCopy } from '../harness/copies.js';
import { KiB, MiB } from '../harness/lvm.js';
import { shellForSsh, useOwnStateFolder } from '../harness/thin.js';

useOwnStateFolder();

const UUID = 'abcdefghijklmnopqrstuvwxyz012345';
const OTHER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345';

/** As pvcreate writes it into the second sector, but for the checksum, which nobody here looks at. */
function label(path: string, uuid: string): void {
  const sector = Buffer.alloc(512);
  sector.write('LABELONE', 0, 'latin1');
  sector.writeBigUInt64LE(1n, 8);
  sector.writeUInt32LE(32, 20);
  sector.write('LVM2 001', 24, 'latin1');
  sector.write(uuid, 32, 'latin1');
  const fd = openSync(path, 'r+');
  writeSync(fd, sector, 0, sector.length, 512);
  fsyncSync(fd);
  closeSync(fd);
}

describe('F14: the volume is the physical volume of a guest', () => {
  const lab = withThickCopy({ size: 4 * MiB });
  const rsh = shellForSsh();
  const former = `${lab.folder}/former`;
  const chain = `${lab.folder}/chain`;

  test('a sync, its undo, a stream and another host', (t) => {
    label(lab.origin.path, UUID);
    saveContent(lab.origin.path, lab.copy.path);
    lab.keep();
    const snapshot = lab.createSnapshot({ chunkSize: 4 * KiB, until: t });
    lab.change(20);
    const undo = `${lab.folder}/undo`;
    syncs(['--snapback', undo, snapshot.path, lab.copy.path]);
    lab.assertEqual();
    syncs(['--apply', undo, lab.copy.path]);
    lab.assertUntouched();
    syncs([...rsh, '--snapback', `${undo}.2`, snapshot.path, `h:${lab.copy.path}`]);
    lab.assertEqual();
    syncs(['--apply', `${undo}.2`, lab.copy.path]);
    lab.assertUntouched();
    const changes = `${lab.folder}/changes`;
    syncs(['--stdout', snapshot.path], { stdoutFile: changes });
    syncs(['--apply', changes, '--snapback', former, lab.copy.path]);
    lab.assertEqual();
    syncs(['--apply', former, lab.copy.path]);
    lab.assertUntouched();
    syncs(['doctor', snapshot.path, lab.copy.path]);
  });

  test('turns of a cycle, a rollback, --redo and a repair', () => {
    const turn = ['cycle', lab.origin.path, lab.copy.path, '--snapback', chain, '--size', '100%'];
    saveContent(lab.origin.path, lab.copy.path);
    syncs([...turn, '--init']);
    lab.keep();
    for (let n = 1; n <= 2; n++) {
      lab.change(10);
      syncs(turn);
      lab.assertEqual();
    }
    syncs(['rollback', '--steps', '2', lab.copy.path, chain]);
    lab.assertUntouched();
    syncs(['rollback', '--redo', lab.copy.path, chain]);
    lab.assertEqual();
    syncs(['verify', '--full', '--repair', lab.origin.path, lab.copy.path]);
  });

  test('a physical volume of this host, or of another guest, is refused', (t) => {
    const snapshot = lab.createSnapshot({ chunkSize: 4 * KiB, until: t });
    lab.change(5);
    label(lab.copy.path, OTHER);
    lab.keep();
    for (const destination of [lab.copy.path, `h:${lab.copy.path}`]) {
      const result = lvmsync([...rsh, snapshot.path, destination]);
      assertFails(result, 12, /is labelled as an LVM physical volume \(ABCDEF-/);
    }
    assert.equal(lvmsync(['doctor', snapshot.path, lab.copy.path]).status, 1);
    lab.assertUntouched();
  });
});
