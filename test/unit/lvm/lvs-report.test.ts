import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { listVolumes } from '../../../src/lvm/lvs-report.js';
import { type Host, lvsWith, recorded, refusal, runOn } from '../../helpers/lvm/lvm-host.js';

const thick = recorded('thick');

describe('listVolumes', () => {
  test('tells of each volume once, however many segments it has', async () => {
    const host = recorded('thick-grown');
    const rows = JSON.parse(host.lvs).report[0].lv.map((row: { lv_uuid: string }) => row.lv_uuid);
    const volumes = await listVolumes('my-vg', runOn(host));
    assert.ok(new Set(rows).size < rows.length, 'a volume has several rows');
    assert.deepEqual(volumes.map(({ uuid }) => uuid).sort(), [...new Set(rows)].sort());
  });

  test('takes the brackets of internal volumes off', async () => {
    const volumes = await listVolumes('v', runOn(recorded('thin')));
    const names = volumes.map(({ lvName }) => lvName);
    assert.ok(names.includes('pool_tmeta') && names.includes('data'), names.join(' '));
  });

  const refusals: readonly (readonly [string, Host, RegExp])[] = [
    ['a report that is no JSON', { ...thick, lvs: `${thick.lvs}"vg` }, /^lvs: .*JSON$/],
    [
      'a report without a field',
      { ...thick, lvs: thick.lvs.replaceAll('"segtype"', '"type"') },
      /^lvs: its report has no segtype$/,
    ],
    [
      'a size that is no count',
      lvsWith(thick, 'sn-ap', { lv_size: '32.00m' }),
      /^lvs: lv_size is not a count \(32\.00m\)$/,
    ],
  ];
  for (const [what, host, message] of refusals) {
    test(`refuses ${what} with exit code 10`, async () => {
      const error = await refusal(listVolumes('my-vg', runOn(host)));
      assert.match(error.message, message);
      assert.equal(error.exitStatus, 10);
    });
  }
});
