import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findSnapshot } from '../../../src/lvm/find-volume.js';
import { testFindRefusals } from '../../helpers/lvm/find-refusals.js';
import {
  type Host,
  lvsWith,
  missing,
  recorded,
  refusal,
  runOn,
} from '../../helpers/lvm/lvm-host.js';

const thin = recorded('thin');

describe('findSnapshot on a thin volume', () => {
  const MIB = 1024 * 1024;
  const volumes = [
    ['data', { thinId: 1, active: true, size: 64 * MIB }],
    ['ts', { thinId: 2, active: false, size: 64 * MIB, origin: 'data' }],
    ['ts4', { thinId: 4, active: false, size: 64 * MIB }],
    ['extthin', { thinId: 5, active: true, size: 16 * MIB, externalOrigin: 'ext' }],
    [
      'extsnap',
      { thinId: 6, active: false, size: 16 * MIB, origin: 'extthin', externalOrigin: 'ext' },
    ],
    ['d2s', { thinId: 8, active: true, size: 64 * MIB }],
  ] as const;
  for (const [lvName, wanted] of volumes) {
    test(`tells id, pool, size, state and origins of ${lvName}`, async () => {
      const found = await findSnapshot(`v/${lvName}`, runOn(thin), missing);
      assert.ok(found.kind === 'thin');
      const { uuid, origin, externalOrigin, deviceNumber, createdAt = 0, ...rest } = found;
      assert.ok(createdAt > 1_700_000_000);
      assert.equal(deviceNumber !== undefined, wanted.active);
      assert.deepEqual(
        {
          ...rest,
          ...(origin && { origin: origin.lvName }),
          ...(externalOrigin && { externalOrigin: externalOrigin.lvName }),
        },
        {
          kind: 'thin',
          vgName: 'v',
          lvName,
          path: `/dev/mapper/v-${lvName}`,
          poolName: 'pool',
          writable: true,
          ...wanted,
        },
      );
      assert.match(uuid, /^\w{6}(-\w{4}){5}-\w{6}$/);
    });
  }

  test('gives the origin the uuid that the group has for it', async () => {
    const origin = await findSnapshot('v/data', runOn(thin), missing);
    const snapshot = await findSnapshot('v/ts', runOn(thin), missing);
    assert.ok(snapshot.kind === 'thin');
    assert.equal(snapshot.origin?.uuid, origin.uuid);
  });

  const otherMerges = [
    ['a thin snapshot of another origin', 'ts', ['d2s', 'ts4', 'extsnap']],
    ['a thick snapshot, which shows on its origin too', 'ext', ['d2s', 'data', 'ts']],
  ] as const;
  for (const [what, mergingName, lvNames] of otherMerges) {
    test(`serves what is not touched by the scheduled merge of ${what}`, async () => {
      const host = lvsWith(thin, mergingName, { lv_merging: '1' });
      for (const lvName of lvNames) {
        const found = await findSnapshot(`v/${lvName}`, runOn(host), missing);
        assert.equal(found.lvName, lvName);
      }
    });
  }
});

describe('findSnapshot refuses a thin volume with exit code 10', () => {
  testFindRefusals([
    [
      'a thin snapshot whose merge is scheduled',
      recorded('thin-merge-scheduled'),
      'v/ts',
      /^v\/ts: a merge is scheduled or running$/,
      /^The merge returns v\/data to .* "lvchange -an v\/data" and "lvchange -ay v\/data", .* "lvs -a v" .* full copy of it\.$/,
    ],
    [
      'the origin of a thin snapshot whose merge is scheduled',
      recorded('thin-merge-scheduled'),
      'v/data',
      /^v\/data: a merge of v\/ts is scheduled or running$/,
      /begins when v\/data is next activated: unmount v\/data .* Then try again\.$/,
    ],
    [
      'another snapshot of an origin into which one is to be merged',
      withSecondSnapshotOf('data'),
      'v/ts4',
      /^v\/ts4: a merge of v\/ts is scheduled or running$/,
      /begins when v\/data is next activated: unmount v\/data .* Then try again\.$/,
    ],
    [
      'a snapshot of a snapshot that is to be merged',
      withSecondSnapshotOf('ts'),
      'v/ts4',
      /^v\/ts4: a merge of v\/ts is scheduled or running$/,
    ],
  ]);
});

describe('findSnapshot on a thin volume whose pool has failed', () => {
  test('says so, with exit code 18 and the command to repair it', async () => {
    const table = thin.table.replace(/^(v-data-real: \d+ \d+ thin) .*$/m, '$1 Fail');
    assert.notEqual(table, thin.table);
    const error = await refusal(findSnapshot('v/data', runOn({ ...thin, table }), missing));
    assert.equal(error.exitStatus, 18);
    assert.equal(error.message, 'v/pool: the thin pool has failed');
    assert.match(error.hint ?? '', /lvconvert --repair v\/pool/);
  });
});

/** The pool with a merge of v/ts into v/data scheduled, where v/ts4 is a snapshot of `origin`. */
function withSecondSnapshotOf(origin: 'data' | 'ts'): Host {
  const uuid = new RegExp(`"lv_name":"${origin}", "lv_uuid":"([^"]+)"`).exec(thin.lvs)?.[1] ?? '';
  assert.notEqual(uuid, '');
  const host = lvsWith(thin, 'ts4', { origin, origin_uuid: uuid });
  return lvsWith(host, 'ts', { lv_merging: '1' });
}
