import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Argv, CommandError, type RunCommand } from '../../../src/host/subprocess.js';
import { findSnapshot } from '../../../src/lvm/find-volume.js';
import type { PathKind } from '../../../src/lvm/volume-name.js';
import { testFindRefusals } from '../../helpers/lvm/find-refusals.js';
import { deviceOf, missing, recorded, refusal, runOn, uuidOf } from '../../helpers/lvm/lvm-host.js';

const thick = recorded('thick');
const thin = recorded('thin');

describe('findSnapshot', () => {
  test('goes by the uuid of a device where its name is out of date', async () => {
    const found = await deviceOf(thick, 'my--vg-snap2')();
    const uuid = found.kind === 'block' ? (found.mapped?.uuid ?? '') : '';
    const mapped = { name: 'my--vg-sn--ap', uuid };
    const inspect = async (): Promise<PathKind> => ({ kind: 'block', number: '254:5', mapped });
    const error = await refusal(findSnapshot('/dev/dm-5', runOn(thick), inspect));
    assert.match(error.message, /^my-vg\/snap2: snapshot overflowed/);
  });

  test('names VG/LV even where a file of that name is in the folder', async () => {
    const inspect = async (): Promise<PathKind> => ({ kind: 'other', what: 'a regular file' });
    const found = await findSnapshot('my-vg/sn-ap', runOn(thick), inspect);
    assert.equal(found.lvName, 'sn-ap');
  });

  test('puts "--" before every name it gives to a tool, but for a device that it knows by its uuid', async () => {
    const calls: Argv[] = [];
    await findSnapshot('my-vg/sn-ap', runOn(thick, calls), missing);
    assert.deepEqual(
      calls.map(([tool, verb]) => (tool === 'dmsetup' ? `${tool} ${verb}` : tool)),
      ['lvs', 'dmsetup table', 'vgcfgbackup', 'dmsetup info', 'dmsetup status'],
    );
    assert.deepEqual(calls.at(-1)?.slice(2), ['--noflush', '-u', uuidOf(thick, 'my--vg-sn--ap')]);
    for (const call of calls.slice(0, -1)) {
      const first = call.findIndex((word) => /^my-(-?)vg/.test(word));
      assert.equal(call[first - 1], '--', call.join(' '));
    }
  });
});

describe('findSnapshot refuses with exit code 10', () => {
  testFindRefusals([
    [
      'a volume that is not a snapshot, and lists the ones it has',
      thick,
      'my-vg/da-ta--x',
      /^my-vg\/da-ta--x: not a snapshot but a volume of type linear$/,
      /^Name the one that the copy matches: my-vg\/sn-ap, my-vg\/snap2\.$/,
    ],
    [
      'a volume without snapshots',
      thick,
      'my-vg/mid',
      /^my-vg\/mid: not a snapshot/,
      /^It has no snapshots\. Make one with "lvcreate --snapshot --extents 20%ORIGIN --name mid-snap my-vg\/mid", and make the first copy of that with dd\.$/,
    ],
    [
      'a thin pool, and lists its volumes',
      thin,
      'v/pool',
      /^v\/pool: not a snapshot but a volume of type thin-pool$/,
      /^Name a snapshot in it\. Its volumes: v\/d2, v\/d2s, v\/data, .*\.$/,
    ],
    [
      'an internal volume',
      thin,
      'v/pool_tmeta',
      /^v\/pool_tmeta: not a snapshot/,
      /^Name a snapshot of a volume with data\.$/,
    ],
  ]);
});

describe('findSnapshot refuses with exit code 1', () => {
  const subjects = [
    'nope',
    '',
    '/nope',
    '/mnt/nope/x/y',
    '-x/-y',
    'my-vg/-y',
    '@tag/x',
    '../x',
    './x',
    'vg/..',
    'my-vg/sn ap',
    'my-vg/x;id',
    'my-vg/$(id)',
    'my-vg/sn-ap/',
    '/dev/mapper/novolume',
    '/dev/mapper/my--vg-sn--ap-cow',
    '/dev/mapper/control',
  ];
  for (const subject of subjects) {
    test(`the name "${subject}" of nothing, without asking any tool`, async () => {
      const run = () => assert.fail('a tool was run');
      const error = await refusal(findSnapshot(subject, run, missing));
      assert.equal(error.message, `${subject}: no such device`);
      assert.equal(error.exitStatus, 1);
      assert.match(error.hint ?? '', /VG\/LV/);
    });
  }

  const notThere = ['my-vg/nope', '/dev/my-vg/nope', 'nope/nope', '/dev/mapper/my--vg-nope'];
  for (const subject of notThere) {
    test(`${subject}, which LVM does not know`, async () => {
      const error = await refusal(findSnapshot(subject, runOn(thick), missing));
      assert.ok(error.message.startsWith(`${subject}: no such logical volume`), error.message);
      assert.equal(error.exitStatus, 1);
    });
  }

  const others: readonly (readonly [string, PathKind])[] = [
    ['a regular file', { kind: 'other', what: 'a regular file' }],
    ['the block device 8:1', { kind: 'block', number: '8:1' }],
    [
      'the device-mapper device "luks" of another program',
      { kind: 'block', number: '254:9', mapped: { name: 'luks', uuid: 'CRYPT-LUKS2-x-luks' } },
    ],
  ];
  for (const [what, kind] of others) {
    test(`a path that is ${what}`, async () => {
      const error = await refusal(findSnapshot('/dev/x/y', runOn(thick), async () => kind));
      assert.equal(error.message, `/dev/x/y: not a logical volume, but ${what}`);
      assert.equal(error.exitStatus, 1);
    });
  }

  for (const [layer, name] of [
    ['cow', 'my--vg-sn--ap'],
    ['real', 'my--vg-da--ta----x'],
  ] as const) {
    test(`the internal device "${layer}" and names the volume it belongs to`, async () => {
      const inspect = deviceOf(thick, `${name}-${layer}`);
      const error = await refusal(findSnapshot('/dev/dm-2', runOn(thick), inspect));
      assert.match(error.message, /, but the internal device "(cow|real)" of my-vg\/[\w-]+$/);
      assert.equal(error.exitStatus, 1);
    });
  }

  test('but with 10 where lvs fails for another reason, which it repeats', async () => {
    const stderr =
      "  /run/lock/lvm/V_my-vg:aux: open failed: Permission denied\n  Can't get lock\n";
    const run: RunCommand = async (argv, options = {}) => {
      throw new CommandError({
        argv,
        code: options.code,
        reason: 'exit status 5',
        status: 5,
        stderr,
      });
    };
    const error = await refusal(findSnapshot('my-vg/sn-ap', run, missing));
    assert.match(error.message, /^lvs: exit status 5 \(.*Permission denied; Can't get lock\)$/);
    assert.equal(error.exitStatus, 10);
  });
});
