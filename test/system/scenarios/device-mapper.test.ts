/** The kernel, asked by this program, says what dmsetup prints: of every device of a thick and a thin group. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Argv, runCommand } from '../../../src/host/subprocess.js';
import { askHost } from '../../../src/lvm/host-tools.js';
import { KiB, MiB, TestVolumeGroup } from '../harness/lvm.js';
import { TestThinPool } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

const INFO = ['-c', '--noheadings', '--separator', ' ', '-o', 'name,major,minor,uuid', '--'];

/** Counters of the kernel's own that grow between two questions are none of these lines'. */
function linesOf(text: string): string[] {
  return text.split('\n').map((line) => line.trim());
}

test('dmsetup and the kernel say the same', async (t) => {
  const group = new TestVolumeGroup({ size: 96 * MiB, extentSize: MiB });
  t.after(() => group.destroy());
  const data = group.createVolume('with-dash', 4 * MiB);
  group.createSnapshot(data, { name: 'snap', chunkSize: 4 * KiB, storeSize: 4 * MiB });
  const pool = new TestThinPool(group, { size: 32 * MiB, blockSize: 64 * KiB });
  pool.createVolume('thin', 8 * MiB);
  const line = 'name,major,minor,uuid';
  const devices = tool('dmsetup', 'info', '-c', '--noheadings', '--separator', ' ', '-o', line)
    .trim()
    .split('\n')
    .map((one) => one.trim().split(' '));
  assert.ok(devices.length >= 8, `${devices.length} devices`);
  for (const [name = '', major = '', minor = '', uuid = ''] of devices) {
    const questions: Argv[] = [
      ['dmsetup', 'table', '--', name],
      ['dmsetup', 'table', '-u', uuid],
      ['dmsetup', 'table', '-j', major, '-m', minor],
      ['dmsetup', 'status', '-u', uuid],
      ['dmsetup', 'status', '--noflush', '-u', uuid],
      ['dmsetup', 'status', '--noflush', '-j', major, '-m', minor],
      ['dmsetup', 'info', ...INFO, name],
    ];
    for (const question of questions) {
      const [ours, theirs] = [await askHost(question), await runCommand(question)];
      assert.deepEqual(linesOf(ours.stdout), linesOf(theirs.stdout), question.join(' '));
      assert.notEqual(ours.stdout, '', question.join(' '));
    }
  }
});
