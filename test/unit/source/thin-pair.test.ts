/** Both volumes of a thin source are described from one look at their group. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Argv } from '../../../src/host/subprocess.js';
import { describeSnapshot, findVolume } from '../../../src/lvm/find-volume.js';
import { findPair } from '../../../src/source/thin-source.js';
import { missing, recorded, refusal, runOn } from '../../helpers/lvm/lvm-host.js';

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

  for (const { title, subject, since, message, hint } of [
    {
      title: 'a thin volume that has snapshots is answered with these',
      subject: 'v/data',
      since: undefined,
      message: /^v\/data: a thin volume whose origin was removed, or that is not a snapshot$/,
      hint: /^Name the one that the copy matches: v\/thick, v\/ts\. If its origin was removed, /,
    },
    {
      title: 'a thin volume without snapshots is answered with how to make one',
      subject: 'v/d2',
      since: undefined,
      message: /^v\/d2: a thin volume/,
      hint: /^It has no snapshots\. Make one with "lvcreate --snapshot -kn --name d2-snap v\/d2", .*lvmsync --since v\/d2 NEWER DESTINATION$/,
    },
    {
      title: '--since with a thick volume is answered with the thin ones',
      subject: 'v/data',
      since: 'v/ext',
      message: /^v\/ext: not a thin volume: --since needs one of the same pool$/,
      hint: /^Name the one that the copy matches: v\/d2, v\/d2s, v\/ext.*, v\/ts, v\/ts4\.$/,
    },
  ] as const) {
    test(title, async () => {
      const { volume, group } = await findVolume(subject, runOn(recorded('thin')), missing);
      const found = await describeSnapshot(volume, group);
      assert.ok(found.kind === 'thin');
      const error = await refusal(findPair(found, group, since));
      assert.match(error.message, message);
      assert.match(error.hint ?? '', hint);
    });
  }
});
