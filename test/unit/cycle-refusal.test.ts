import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Refusal } from '../../src/cycle-plan.js';
import { describeRefusal } from '../../src/cycle-refusal.js';
import { EXIT } from '../../src/errors.js';

const point = { uuid: 'uuid', time: '2026-11-23T10:55:07Z' };
const snapshot = { vgName: 'vg0', lvName: 'snap', ...point, state: 'lost' } as const;
const origin = { vgName: 'vg0', lvName: 'mail', uuid: 'origin', kind: 'thick' } as const;
const command = {
  destination: { host: 'backup', path: '/dev/vg1/mail' },
  chain: { directory: '/var/chain', init: false, keep: [] },
};

const CASES: readonly [Refusal, status: number, message: RegExp, hint: RegExp][] = [
  [
    { why: 'noPoint' },
    EXIT.destinationUnfit,
    /^backup:\/dev\/vg1\/mail: .*\/var\/chain/,
    /--init\./,
  ],
  [{ why: 'holdsPoint', point }, EXIT.destinationUnfit, /10:55:07Z/, /Leave out --init/],
  [{ why: 'rollback' }, EXIT.destinationUnfit, /rollback/, /again/],
  [{ why: 'baseGone', point }, EXIT.sourceUnfit, /^vg0\/mail: .*gone/, /--init --force/],
  [{ why: 'baseLost', base: snapshot }, EXIT.sourceUnfit, /^vg0\/snap: .*overflowed/, /--size/],
  [{ why: 'merging', snapshot }, EXIT.sourceUnfit, /^vg0\/snap: .*merged/, /--init --force/],
  [
    { why: 'nextGone', point },
    EXIT.destinationUnfit,
    /part of a snapshot/,
    /lvmsync rollback \/dev\/vg1\/mail --steps 0 \/var\/chain/,
  ],
];

describe('the refusal of a turn', () => {
  for (const [refusal, status, message, hint] of CASES) {
    it(`says what to do: ${refusal.why}`, () => {
      const error = describeRefusal(refusal, origin, command);
      assert.equal(error.exitStatus, status);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n/);
      assert.match(error.hint ?? '', hint);
    });
  }
});
