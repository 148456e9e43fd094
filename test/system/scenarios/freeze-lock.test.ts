// LVM's lock, held by another command just when something is frozen for a snapshot.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { lvmsync } from '../../helpers/program/cli.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { MiB, TestVolumeGroup } from '../harness/lvm.js';

test('F31: it is waited for after a thaw, not while anything is frozen', (t) => {
  const group = new TestVolumeGroup({ size: 24 * MiB, extentSize: MiB });
  t.after(() => group.destroy());
  group.createVolume('data', 4 * MiB);
  const copy = group.createVolume('copy', 4 * MiB);
  const folder = scratchFolder();
  const [log, hook] = [`${folder}/log`, `${folder}/hook`];
  // At the first freeze another command takes the lock; it keeps it until it has seen the thaw.
  const script = `#!/bin/sh
    echo "$1" >>${log}
    [ "$1" = freeze ] && [ "$(grep -c freeze ${log})" = 1 ] || exit 0
    flock -x /run/lock/lvm/V_vg0 sh -c 'touch ${folder}/taken; until grep -q thaw ${log}; do sleep 0.1; done; sleep 1' &
    until [ -e ${folder}/taken ]; do sleep 0.1; done
  `;
  writeFileSync(hook, script, { mode: 0o755 });
  const hooks = ['--freeze-cmd', `${hook} freeze`, '--thaw-cmd', `${hook} thaw`];
  const words = ['vg0/data', copy.path, '--snapback', `${folder}/chain`, '--size', '100%'];
  const { status, stderr } = lvmsync(['cycle', ...words, '--init', ...hooks]);
  assert.equal(status, 0, stderr);
  assert.equal(readFileSync(log, 'utf8'), 'freeze\nthaw\nfreeze\nthaw\n');
});
