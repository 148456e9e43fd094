import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { assertFails, lvmsync, syncs } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { assertSameContent, saveContent, writeRandom } from '../harness/content.js';
import { withThickCopy } from '../harness/copies.js';
import { KiB, MiB } from '../harness/lvm.js';
import { shellForSsh, TestThinPool } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

const random = new Random();

/** A copy that was synced from a snapshot, the snapback of that run, and what the copy held before. */
function lab(t: TestContext) {
  const made = withThickCopy({ random, changes: 50, until: t });
  const snapback = `${made.folder}/snapback`;
  syncs(['--snapback', snapback, made.snapshot.path, made.copy.path]);
  return { ...made, former: made.untouched, snapback };
}

describe('a snapback', () => {
  test('is refused on another volume than the one it was made of, unless forced', (t) => {
    const { group, copy, former, snapback, folder } = lab(t);
    const other = group.createVolume('other', 16 * MiB);
    saveContent(copy.path, other.path);
    saveContent(other.path, `${folder}/untouched`);
    const result = lvmsync(['--apply', snapback, other.path]);
    assertFails(result, EXIT.destinationUnfit, /belongs to .*copy.*, not to .*other/);
    assertSameContent(other.path, `${folder}/untouched`);
    syncs(['--force', '--apply', snapback, other.path]);
    assertSameContent(other.path, former);
  });

  test('knows its volume by another name of it, and after it was renamed', (t) => {
    const { group, copy, former, snapback, snapshot, folder } = lab(t);
    syncs(['--apply', snapback, `/dev/${group.name}/${copy.lvName}`]);
    assertSameContent(copy.path, former);
    const again = `${folder}/again`;
    syncs(['--snapback', again, snapshot.path, copy.path]);
    tool('lvrename', '-q', group.name, copy.lvName, 'renamed');
    syncs(['--apply', again, group.volume('renamed').path]);
    assertSameContent(group.volume('renamed').path, former);
  });
});

describe('a destination in a thin pool that has no room left', () => {
  test('fails with the byte, is written on once there is room, and can be undone', (t) => {
    const { group, origin, snapshot, folder } = lab(t);
    // Blocks shared with a snapshot of the destination are copied when they are written.
    const pool = new TestThinPool(group, { size: 20 * MiB, blockSize: 64 * KiB });
    tool('lvchange', '-q', '--errorwhenfull', 'y', `${group.name}/${pool.name}`);
    const thin = pool.createVolume('thin', origin.size);
    saveContent(snapshot.path, thin.path);
    pool.snapshot(thin, 'kept');
    writeRandom(origin.path, random, [{ offset: 0, length: 12 * MiB }]);
    saveContent(thin.path, `${folder}/thin`);

    const words = ['--snapback', `${folder}/undo`, snapshot.path, thin.path];
    const result = lvmsync(words);
    assertFails(result, EXIT.destinationWrite, /thin: (write error at byte \d+|flush error)/);
    assert.match(result.stderr, /Undo it with: lvmsync --apply/);

    tool('lvextend', '-q', '-L', `${64 * MiB}b`, `${group.name}/${pool.name}`);
    syncs(['--apply', `${folder}/undo`, thin.path]);
    assertSameContent(thin.path, `${folder}/thin`);
    syncs([snapshot.path, thin.path]);
    assertSameContent(origin.path, thin.path);
  });
});

test('a volume that the run reads is refused, though the other host is this one', (t) => {
  const { origin, copy, snapshot, folder } = lab(t);
  tool('dmsetup', 'create', 'over', '--table', `0 ${origin.size / 512} linear ${origin.path} 0`);
  for (const { path } of [origin, snapshot, { path: '/dev/mapper/over' }]) {
    saveContent(path, `${folder}/untouched`);
    for (const force of [[], ['--force']]) {
      const words = [...shellForSsh(), ...force, snapshot.path, `localhost:${path}`];
      const result = lvmsync(words);
      assertFails(
        result,
        EXIT.destinationUnfit,
        /is (built on )?the source volume on this same machine/,
      );
      assert.match(result.stderr, /^Nothing was written there\.$/m);
    }
    assertSameContent(path, `${folder}/untouched`);
  }
  tool('dmsetup', 'remove', 'over');
  syncs([...shellForSsh(), snapshot.path, `localhost:${copy.path}`]);
  assertSameContent(copy.path, origin.path);
});

test('a stored stream may go back to the volume that it was made of', (t) => {
  const { origin, snapshot, folder } = lab(t);
  syncs(['--stdout', snapshot.path], { stdoutFile: `${folder}/stream` });
  saveContent(origin.path, `${folder}/changed`);
  saveContent(snapshot.path, `${folder}/former`);
  tool('lvremove', '-q', '-f', `${snapshot.vgName}/${snapshot.lvName}`);
  saveContent(`${folder}/former`, origin.path);
  syncs(['--apply', `${folder}/stream`, origin.path]);
  assertSameContent(origin.path, `${folder}/changed`);
});
