import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import type { Refusal } from '../../../src/cycle/plan.js';
import { describeOverflow, describeRefusal } from '../../../src/cycle/refusal.js';

const point = { uuid: 'uuid', time: '2026-11-23T10:55:07Z' };
const snapshot = { vgName: 'vg0', lvName: 'snap', ...point, state: 'lost' } as const;
const origin = {
  vgName: 'vg0',
  lvName: 'mail',
  uuid: 'origin',
  size: 4096,
  kind: 'thick',
} as const;
const command = {
  destination: { host: 'backup', path: '/dev/vg1/the mail' },
  chain: { directory: '/var/chain', init: false, keep: [] },
};

const CASES: readonly [Refusal, status: number, message: RegExp, hint: RegExp][] = [
  [
    { why: 'noPoint' },
    EXIT.destinationUnfit,
    /^backup:\/dev\/vg1\/the mail: there is no history in \/var\/chain$/,
    /^Check the name of the directory\. .*--init, or with --init --compare if most of it is there already\.$/,
  ],
  [{ why: 'holdsPoint', point }, EXIT.destinationUnfit, /10:55:07Z/, /Leave out --init/],
  [{ why: 'rollback' }, EXIT.destinationUnfit, /rollback/, /again.*--init --force/],
  [
    { why: 'baseGone', point },
    EXIT.sourceUnfit,
    /^vg0\/mail: .*no longer exists/,
    /^Add --compare: it reads .* keeps the restore points /,
  ],
  [
    { why: 'baseGone', point, wentBack: true },
    EXIT.sourceUnfit,
    /^vg0\/mail: .*no longer exists/,
    /undo the rollback first, .*: lvmsync rollback --redo .*; or run it once with --compare, .* The restore points stay/,
  ],
  [
    {
      why: 'otherSpelling',
      base: snapshot,
      former: { tag: 'lvmsync_old', snapshots: [snapshot, { ...snapshot, lvName: 'newer' }] },
      tag: 'lvmsync_new',
    },
    EXIT.sourceUnfit,
    /^vg0\/snap: .*10:55:07Z.* backup:\/dev\/vg1\/the mail .*another spelling/,
    /same names as before.*: lvchange --deltag lvmsync_old --addtag lvmsync_new vg0\/snap vg0\/newer$/,
  ],
  [
    {
      why: 'otherOrigin',
      base: {
        origin: { vgName: 'vg0', lvName: 'www' },
        snapshot: { vgName: 'vg0', lvName: 'www-lvmsync-1' },
      },
    },
    EXIT.sourceUnfit,
    /^vg0\/mail: backup:\/dev\/vg1\/the mail is the copy of vg0\/www: .* vg0\/www-lvmsync-1$/,
    /^Name vg0\/www, or name another destination/,
  ],
  [
    { why: 'baseLost', base: snapshot },
    EXIT.sourceUnfit,
    /^vg0\/snap: .*overflowed/,
    /--compare.*--size/,
  ],
  [
    { why: 'mending', point },
    EXIT.destinationUnfit,
    /10:55:07Z again, is not finished$/,
    /--compare/,
  ],
  [
    { why: 'merging', snapshot },
    EXIT.sourceUnfit,
    /^vg0\/snap: .*merged/,
    /^If it has not begun yet, .*lvchange -an vg0\/mail.* Wait until .* vg0\/mail then holds .* Run the same command again/,
  ],
  [
    { why: 'nextGone', point },
    EXIT.destinationUnfit,
    /part of a snapshot/,
    /^Add --compare: .* Or go back to that state, on backup: lvmsync rollback --steps 0 '\/dev\/vg1\/the mail' \/var\/chain$/,
  ],
  [
    { why: 'nextLost', next: snapshot, point },
    EXIT.sourceUnfit,
    /^vg0\/snap: it overflowed, and backup:.* holds part of it/,
    /^Add --compare: .*larger --size; --size auto .*\. Or undo that part first, on backup: lvmsync rollback --steps 0 '\/dev\/vg1\/the mail' \/var\/chain$/,
  ],
];

describe('the refusal of a turn', () => {
  for (const [refusal, status, message, hint] of CASES) {
    const number = 'wentBack' in refusal ? 'F7: ' : '';
    test(`${number}says what to do: ${refusal.why}`, () => {
      const error = describeRefusal(refusal, origin, command);
      assert.equal(error.exitStatus, status);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n/);
      assert.match(error.hint ?? '', hint);
    });
  }
});

describe('a new snapshot that overflows while it is sent', () => {
  const hint = (isFirst: boolean): string => {
    const destination = { path: '/dev/vg1/mail' };
    const error = describeOverflow(snapshot, { ...command, destination, isFirst });
    assert.equal(error.exitStatus, EXIT.sourceUnfit);
    assert.match(error.message, /^vg0\/snap: it overflowed/);
    return error.hint ?? '';
  };

  test('has the command named that undoes what was written of it', () => {
    const undo =
      / before the next run, here: lvmsync rollback --steps 0 \/dev\/vg1\/mail \/var\/chain$/;
    assert.match(hint(false), undo);
  });

  test('is only made again where nothing was held before', () => {
    assert.match(hint(true), /The next run with --init makes another one\.$/);
  });
});
