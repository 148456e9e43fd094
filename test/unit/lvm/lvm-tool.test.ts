/** F17: what a user who is not root reads. F15 is seen on real LVM: scenarios/host-settings. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandError } from '../../../src/host/subprocess.js';
import { needsRoot, withSettings } from '../../../src/lvm/lvm-tool.js';

function failureOf(tool: string, status?: number): CommandError {
  const stderr = '/run/lock/lvm/V_vg0:aux: open failed: Permission denied';
  return new CommandError({ argv: [tool], code: 'sourceUnfit', reason: 'failed', status, stderr });
}

test('a tool of LVM or device-mapper that fails says that root is needed', () => {
  for (const tool of ['lvs', 'vgcfgbackup', 'lvcreate', 'dmsetup']) {
    const said = needsRoot(failureOf(tool, 5), 1000);
    assert.equal(said?.message, `${tool}: it needs root`);
    assert.equal(said?.code, 'sourceUnfit');
    assert.match(said?.hint ?? '', /sudo lvmsync/);
  }
});

test('nothing is said for it to root, of other tools, or of one that cannot be started', () => {
  assert.equal(needsRoot(failureOf('lvs', 5), 0), undefined);
  assert.equal(needsRoot(failureOf('ssh', 5), 1000), undefined);
  assert.equal(needsRoot(failureOf('lvs'), 1000), undefined);
  assert.equal(needsRoot(new Error('another'), 1000), undefined);
});

test('F15: a call that has settings of its own keeps them, and --config stands there once', () => {
  const [flag, settings, ...rest] = withSettings(['-a', 'vg0']);
  assert.equal(flag, '--config');
  assert.match(settings ?? '', /^report\{.*\} log\{.*\}$/);
  assert.deepEqual(rest, ['-a', 'vg0']);
  const own = ['-q', '--config', 'global/wait_for_locks=0', 'vg0'];
  assert.deepEqual(withSettings(own), [
    ...['-q', '--config', `global/wait_for_locks=0 ${settings}`, 'vg0'],
  ]);
});
