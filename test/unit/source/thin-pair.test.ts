/** Both volumes of a thin source are described from one look at their group. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Argv } from '../../../src/host/subprocess.js';
import { describeSnapshot, findVolume } from '../../../src/lvm/find-volume.js';
import { findPair } from '../../../src/source/thin-source.js';
import { missing, recorded, runOn } from '../../helpers/lvm/lvm-host.js';

describe('the two volumes of a thin source', () => {
  for (const { since, from, to, subject } of [
    { subject: 'v/ts', since: undefined, from: 'ts', to: 'data' },
    { subject: 'v/data', since: 'v/ts', from: 'ts', to: 'data' },
  ]) {
    test(`lvs and vgcfgbackup are asked once: ${subject}${since ? ` since ${since}` : ''}`, async () => {
      const calls: Argv[] = [];
      const { volume, group } = await findVolume(subject, runOn(recorded('thin'), calls), missing);
      const found = await describeSnapshot(volume, group);
      assert.equal(found.kind, 'thin');
      if (found.kind !== 'thin') return;
      const pair = await findPair(found, group, since);
      assert.deepEqual([pair.from.lvName, pair.to.lvName], [from, to]);
      const asked = (tool: string) => calls.filter(([name]) => name === tool).length;
      assert.deepEqual([asked('lvs'), asked('vgcfgbackup')], [1, 1]);
    });
  }
});
