// F14: a volume that a guest uses as a whole as its physical volume. Its copy bears the same label.

import assert from 'node:assert/strict';
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { describe, test } from 'node:test';
import { assertFails, lvmsync, syncs } from '../../helpers/program/cli.js';
import { saveContent, scattered, writeRandom } from '../harness/content.js';
import { withThickCopy, withThinCopy } from '../harness/copies.js';
import { KiB, MiB } from '../harness/lvm.js';
import { shellForSsh, useOwnStateFolder } from '../harness/thin.js';

useOwnStateFolder();

const UUID = 'abcdefghijklmnopqrstuvwxyz012345';
const OTHER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345';

const PAGE = 4 * KiB;

/** As pvcreate writes it into the second sector, but for the checksum, which nobody here looks at. */
function label(path: string, uuid: string): void {
  const sector = Buffer.alloc(512);
  sector.write('LABELONE', 0, 'latin1');
  sector.writeBigUInt64LE(1n, 8);
  sector.writeUInt32LE(32, 20);
  sector.write('LVM2 001', 24, 'latin1');
  sector.write(uuid, 32, 'latin1');
  writeSecondSector(path, sector);
}

function wipe(path: string): void {
  writeSecondSector(path, Buffer.alloc(512));
}

function writeSecondSector(path: string, sector: Buffer): void {
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
  /** Pages of the origin, but for the one that holds the label. */
  const change = (count: number): void => {
    const places = scattered(lab.random, lab.size - PAGE, { count, length: PAGE });
    const moved = places.map(({ offset, length }) => ({ offset: offset + PAGE, length }));
    writeRandom(lab.origin.path, lab.random, moved);
  };

  for (const [what, changeLabel] of [
    ['stays as it was', () => undefined],
    ['is gone at the origin', () => wipe(lab.origin.path)],
    ['is another at the origin', () => label(lab.origin.path, OTHER)],
  ] as const) {
    test(`a sync, its undo, a stream and another host, where the label ${what}`, (t) => {
      label(lab.origin.path, UUID);
      saveContent(lab.origin.path, lab.copy.path);
      lab.keep();
      const snapshot = lab.createSnapshot({ chunkSize: PAGE, until: t });
      change(20);
      changeLabel();
      const undo = `${lab.folder}/undo`;
      syncs(['doctor', snapshot.path, lab.copy.path]);
      syncs(['--snapback', undo, snapshot.path, lab.copy.path]);
      lab.assertEqual();
      for (let n = 0; n < 2; n++) syncs(['--apply', undo, lab.copy.path]);
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
      for (const file of [undo, `${undo}.2`, former, changes]) rmSync(file);
    });
  }

  test('turns of a cycle, a rollback, --redo and a repair', () => {
    const turn = ['cycle', lab.origin.path, lab.copy.path, '--snapback', chain, '--size', '100%'];
    label(lab.origin.path, UUID);
    saveContent(lab.origin.path, lab.copy.path);
    syncs([...turn, '--init']);
    lab.keep();
    const labels = [OTHER, undefined, UUID];
    for (const uuid of labels) {
      change(10);
      if (uuid === undefined) wipe(lab.origin.path);
      else label(lab.origin.path, uuid);
      syncs(turn);
      lab.assertEqual();
    }
    syncs(['rollback', '--steps', String(labels.length), lab.copy.path, chain]);
    lab.assertUntouched();
    syncs(['rollback', '--redo', lab.copy.path, chain]);
    lab.assertEqual();
    syncs(['verify', '--full', '--repair', lab.origin.path, lab.copy.path]);
  });

  test('a physical volume of this host, or of another guest, is refused', (t) => {
    const snapshot = lab.createSnapshot({ chunkSize: PAGE, until: t });
    change(5);
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

describe('F14: the same for a thin volume, whose older snapshots are not active', () => {
  const lab = withThinCopy({ size: 4 * MiB, pool: { size: 16 * MiB, blockSize: 64 * KiB } });

  test('turns of a cycle, and a rollback', () => {
    const chain = `${lab.folder}/chain`;
    const turn = ['cycle', lab.origin.path, lab.copy.path, '--snapback', chain];
    label(lab.origin.path, UUID);
    syncs([...turn, '--init', '--force']);
    lab.keep();
    wipe(lab.origin.path);
    syncs(turn);
    lab.assertEqual();
    label(lab.origin.path, OTHER);
    syncs(turn);
    lab.assertEqual();
    syncs(['rollback', '--steps', '2', lab.copy.path, chain]);
    lab.assertUntouched();
  });
});
