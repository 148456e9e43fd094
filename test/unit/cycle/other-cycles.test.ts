import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EXIT, LvmsyncError } from '../../../src/base/errors.js';
import { findOtherCycles, requireEnded } from '../../../src/cycle/other-cycles.js';
import type { ChainState } from '../../../src/cycle/plan.js';
import type { CycleOrigin } from '../../../src/cycle/volumes.js';
import type { RunCommand } from '../../../src/host/subprocess.js';
import { recorded } from '../../helpers/lvm/lvm-host.js';

const TAG = 'lvmsync_0123456789ab';
const OTHER_TAG = 'lvmsync_ba9876543210';

type Row = Readonly<Record<string, string>>;
const ROWS: Row[] = JSON.parse(recorded('thick').lvs).report[0].lv;
const rowOf = (role: string): Row => ROWS.find(({ lv_role = '' }) => lv_role.includes(role)) ?? {};
const ORIGIN_ROW = rowOf('thickorigin');
const ORIGIN: CycleOrigin = {
  vgName: 'my-vg',
  lvName: 'mail',
  uuid: ORIGIN_ROW.lv_uuid ?? '',
  size: 4096,
  kind: 'thick',
};
const command = {
  destination: { host: 'backup', path: '/dev/vg1/mail' },
  chain: { directory: '/chain', init: false, keep: [] },
};

function snapshotRow(uuid: string, tag: string, changes: Row = {}): Row {
  const tags = `lvmsync_at_20261123T105501Z,lvmsync_cycle,${tag}`;
  const own = { lv_name: `snap-${uuid}`, lv_uuid: uuid, lv_tags: tags };
  return { ...rowOf('thicksnapshot'), ...own, ...changes };
}

/** What an --end says that finds no snapshot of its own; undefined: that nothing is left. */
async function ending(rows: readonly Row[], chain?: ChainState): Promise<LvmsyncError | undefined> {
  const lv = [{ ...ORIGIN_ROW, lv_tags: '' }, ...rows];
  const run: RunCommand = async () => ({
    stdout: JSON.stringify({ report: [{ lv }] }),
    stderr: '',
  });
  const others = await findOtherCycles(ORIGIN, TAG, run);
  try {
    requireEnded(others, ORIGIN, command, chain);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof LvmsyncError);
    assert.equal(error.exitStatus, EXIT.sourceUnfit);
    assert.equal(error.state, 'Nothing was removed.');
    return error;
  }
}

const holding = (uuid: string | undefined, begun?: string): ChainState => ({
  point: uuid === undefined ? undefined : { uuid, time: '2026-11-23T10:55:01Z' },
  doing: begun === undefined ? undefined : { what: 'turn', to: { uuid: begun, time: '' } },
});
const OTHER = snapshotRow('other', OTHER_TAG);

describe('a cycle that has no snapshot', () => {
  test('has ended where the volume has no other one either', async () => {
    assert.equal(await ending([]), undefined);
    const foreign = snapshotRow('mine', '', { lv_tags: 'mine' });
    assert.equal(await ending([foreign]), undefined);
  });

  test('has ended where its destination has its chain, beside another cycle', async () => {
    assert.equal(await ending([OTHER], holding('gone')), undefined);
  });

  for (const [title, chain] of [
    ['holds', holding('other')],
    ['holds part of', holding('gone', 'other')],
  ] as const) {
    test(`was named in another way, if its destination ${title} a snapshot of the other`, async () => {
      const error = await ending([OTHER], chain);
      assert.equal(
        error?.message,
        'my-vg/snap-other: it belongs to the cycle to backup:/dev/vg1/mail under another spelling of host, destination or directory',
      );
      assert.match(error?.hint ?? '', /^To end that cycle, write DESTINATION and the directory as/);
    });
  }

  for (const [title, chain] of [
    ['does not answer', undefined],
    ['has no history there', holding(undefined)],
  ] as const) {
    test(`may be the other one, if its destination ${title}: that is named`, async () => {
      const error = await ending([OTHER], chain);
      assert.match(
        error?.message ?? '',
        /^my-vg\/mail: it has no snapshot of the cycle to backup:\/dev\/vg1\/mail with \/chain, but of another one: my-vg\/snap-other of 2026/,
      );
      assert.match(error?.hint ?? '', /^To end that one, .* nothing is left to do\.$/);
    });
  }

  test('is of another volume, if that has the snapshot', async () => {
    const elsewhere = snapshotRow('own', TAG, { origin: 'www', origin_uuid: 'www-uuid' });
    const error = await ending([OTHER, elsewhere], holding('gone'));
    assert.equal(
      error?.message,
      'my-vg/mail: the cycle to backup:/dev/vg1/mail with /chain is one of my-vg/www: my-vg/snap-own belongs to it',
    );
    assert.equal(error?.hint, 'Name my-vg/www in place of my-vg/mail.');
  });
});
