import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import { describeLeft, MixtureError } from '../../../src/commands/outcome.js';
import { SnapbackRemoved } from '../../../src/pipeline/snapback.js';
import type { WriteStage } from '../../../src/pipeline/write-stage.js';

const stage = { begun: true, writtenBytes: 4096 } as WriteStage;
const RUN = { stage, destination: '/dev/vg/copy', totalBytes: 4096, snapback: '/undo' };
const TURN = { ...RUN, snapback: '/chain/a.snapback', chain: '/chain' };
const FIRST = { ...TURN, snapback: undefined };
const ROLLBACK = 'lvmsync rollback --steps 0 /dev/vg/copy /chain';

const removed = new SnapbackRemoved('/undo');
const mixture = new MixtureError('sourceUnfit', 'stream: its source was written');
const other = new LvmsyncError('destinationWrite', '/dev/vg/copy: write error');

const CASES = [
  ['any failure', other, RUN, /is incomplete: 4\.0 KiB of 4\.0 KiB applied\.$/, /^Undo it with: /],
  ['a snapback that is gone', removed, RUN, /^Everything was written and flushed\. .* gone/, /^$/],
  [
    'the same in a turn',
    removed,
    TURN,
    /^Everything was written and flushed/,
    /^Run the same .*again/,
  ],
  [
    'a mixture',
    mixture,
    TURN,
    /written completely, but may be/,
    /^Make .* again .*, or go back .*: lvm/,
  ],
  [
    'a mixture of a full copy',
    mixture,
    FIRST,
    /written completely/,
    /, and apply that with --init\.$/,
  ],
] as const;

for (const [what, error, failed, state, hint] of CASES) {
  test(`${what} leaves a state of its own`, () => {
    const told = describeLeft(error, failed);
    assert.ok(told instanceof LvmsyncError);
    assert.equal(told.exitStatus, error.exitStatus);
    assert.match(told.state ?? '', state);
    assert.match(told.hint ?? '', hint);
  });
}

test('the way back from a mixture is the rollback of the turn', () => {
  const told = describeLeft(mixture, TURN);
  assert.ok(told instanceof LvmsyncError && told.hint?.endsWith(`: ${ROLLBACK}`));
});
