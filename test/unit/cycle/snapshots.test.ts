import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import {
  activate,
  deactivate,
  isNameTaken,
  makeSnapshot,
  removeSnapshot,
  timeAfter,
} from '../../../src/cycle/snapshots.js';
import {
  type CycleOrigin,
  findCycleOf,
  findOrigin,
  listSnapshots,
} from '../../../src/cycle/volumes.js';
import { type Argv, CommandError, type RunCommand } from '../../../src/host/subprocess.js';
import { missing, recorded, refusal } from '../../helpers/lvm/lvm-host.js';
import { scratchFolder } from '../../helpers/scratch.js';

const TAG = 'lvmsync_0123456789ab';
const TIME = '2026-11-23T10:55:07Z';
const NO_HOOKS = { freeze: undefined, thaw: undefined };
const { signal } = new AbortController();

type Row = Readonly<Record<string, string>>;

/** The rows that lvs printed of a real group; each may be changed, and gets no tags. */
function rowsOf(state: string): Row[] {
  const report = JSON.parse(recorded(state).lvs);
  return report.report[0].lv.map((row: Row) => ({ ...row, lv_tags: '' }));
}

function lvs(rows: readonly Row[]): string {
  return JSON.stringify({ report: [{ lv: rows }] });
}

const THICK = rowsOf('thick');
const ORIGIN_ROW = THICK.find(({ lv_role = '' }) => lv_role.includes('thickorigin')) ?? {};
const SNAPSHOT_ROW = THICK.find(({ lv_role = '' }) => lv_role.includes('thicksnapshot')) ?? {};
const ORIGIN: CycleOrigin = {
  vgName: ORIGIN_ROW.vg_name ?? '',
  lvName: ORIGIN_ROW.lv_name ?? '',
  uuid: ORIGIN_ROW.lv_uuid ?? '',
  size: Number(ORIGIN_ROW.lv_size),
  kind: 'thick',
};
const NAME = `${ORIGIN.lvName}-lvmsync-20261123T105507Z`;

function snapshotRow(changes: Row = {}): Row {
  const lv_tags = `lvmsync_at_20261123T105507Z,lvmsync_cycle,${TAG}`;
  return { ...SNAPSHOT_ROW, lv_name: NAME, lv_uuid: 'uuid-new', lv_tags, ...changes };
}

/** Answers lvs with those rows, everything else with nothing; notes what was run. */
function host(rows: readonly Row[]): { readonly run: RunCommand; readonly calls: Argv[] } {
  const calls: Argv[] = [];
  const run: RunCommand = async (argv) => {
    calls.push(argv);
    return { stdout: argv[0] === 'lvs' ? lvs(rows) : '', stderr: '' };
  };
  return { run, calls };
}

describe('the snapshots of a chain', () => {
  const CASES: readonly [title: string, row: Row, state: string | undefined][] = [
    ['one with the tags is found', {}, 'whole'],
    ['one that overflowed is lost', { lv_snapshot_invalid: '1' }, 'lost'],
    ['one that is being merged is merging', { lv_merging: '1' }, 'merging'],
    ['one whose merge failed is merging', { lv_merge_failed: '1' }, 'merging'],
    [
      'one that may have been made after the thaw is unfinished',
      { lv_tags: `lvmsync_at_20261123T105507Z,lvmsync_cycle,lvmsync_unconfirmed,${TAG}` },
      'unfinished',
    ],
    [
      'one that lvcreate left half made is unfinished',
      { origin: '', origin_uuid: '', segtype: 'linear', lv_role: 'public' },
      'unfinished',
    ],
    [
      'a volume of another name that is no snapshot is not ours',
      { lv_name: 'precious', origin: '', origin_uuid: '', segtype: 'linear', lv_role: 'public' },
      undefined,
    ],
    ['one of another origin is not ours', { origin: 'other', origin_uuid: 'other' }, undefined],
    ['one of another chain is not ours', { lv_tags: 'lvmsync_cycle,lvmsync_other' }, undefined],
    ['one without the tag of cycles is not ours', { lv_tags: TAG }, undefined],
    ['one without a time is not ours', { lv_tags: `lvmsync_cycle,${TAG}` }, undefined],
  ];
  for (const [title, row, state] of CASES) {
    test(title, async () => {
      const { run } = host([...THICK, snapshotRow(row)]);
      const found = await listSnapshots(ORIGIN, TAG, run);
      assert.deepEqual(
        found.map((one) => one.state),
        state === undefined ? [] : [state],
      );
    });
  }

  test('F1: are not told while another snapshot is merged into the origin', async () => {
    const other = snapshotRow({ lv_name: 'other', lv_uuid: 'other', lv_tags: '', lv_merging: '1' });
    const { run } = host([...THICK, other, snapshotRow()]);
    const error = await refusal(listSnapshots(ORIGIN, TAG, run));
    assert.match(error.message, /: a merge of my-vg\/other into my-vg\/da-ta--x is scheduled/);
    assert.equal(error.exitStatus, EXIT.sourceUnfit);
  });

  test('come in the order of their times', async () => {
    const later = { lv_uuid: 'later', lv_tags: `lvmsync_at_20261123T105508Z,lvmsync_cycle,${TAG}` };
    const { run } = host([...THICK, snapshotRow(later), snapshotRow()]);
    const found = await listSnapshots(ORIGIN, TAG, run);
    assert.deepEqual(
      found.map(({ uuid, time }) => [uuid, time]),
      [
        ['uuid-new', TIME],
        ['later', '2026-11-23T10:55:08Z'],
      ],
    );
  });
});

describe('the cycle that a snapshot belongs to', () => {
  const OTHER_TAG = 'lvmsync_ba9876543210';
  const other = (changes: Row = {}): Row => {
    const lv_tags = `lvmsync_at_20261123T105508Z,lvmsync_cycle,${OTHER_TAG}`;
    return snapshotRow({ lv_uuid: 'other', lv_tags, ...changes });
  };
  const newer = other({ lv_uuid: 'newer' });

  test('is told by its tag, with all snapshots that have it', async () => {
    const { run } = host([...THICK, snapshotRow(), other(), newer]);
    const cycle = await findCycleOf('other', ORIGIN, run);
    assert.equal(cycle?.tag, OTHER_TAG);
    assert.deepEqual(
      cycle.snapshots.map(({ uuid }) => uuid),
      ['other', 'newer'],
    );
  });

  for (const [title, row] of [
    ['is none where there is no such snapshot', newer],
    ['is none for one of another origin', other({ origin: 'other', origin_uuid: 'other' })],
    ['is none for one without the tag of cycles', other({ lv_tags: OTHER_TAG })],
    ['is none for one without the tag of a chain', other({ lv_tags: 'lvmsync_cycle' })],
  ] as const) {
    test(title, async () => {
      const { run } = host([...THICK, snapshotRow(), row]);
      assert.equal(await findCycleOf('other', ORIGIN, run), undefined);
    });
  }
});

describe('the volume that a cycle follows', () => {
  const named = (lvName: string): string => `${ORIGIN.vgName}/${lvName}`;

  test('is found by its name', async () => {
    assert.deepEqual(await findOrigin(named(ORIGIN.lvName), host(THICK).run, missing), ORIGIN);
  });

  test('is thin where LVM says so', async () => {
    const rows = rowsOf('thin');
    const volume = rows.find(({ lv_role = '' }) => lv_role.includes('thinorigin')) ?? {};
    const found = await findOrigin(`${volume.vg_name}/${volume.lv_name}`, host(rows).run, missing);
    assert.equal(found.kind, 'thin');
  });

  for (const [title, subject, rows, status] of [
    ['is no snapshot', SNAPSHOT_ROW.lv_name, THICK, EXIT.sourceUnfit],
    ['is no snapshot of a cycle', NAME, [...THICK, snapshotRow()], EXIT.sourceUnfit],
    ['is no pool', 'pool', rowsOf('thin'), EXIT.sourceUnfit],
    ['exists', 'nothing', THICK, EXIT.usage],
  ] as const) {
    test(title, async () => {
      const [{ vg_name = '' } = {}] = rows;
      const error = await refusal(findOrigin(`${vg_name}/${subject}`, host(rows).run, missing));
      assert.equal(error.exitStatus, status);
    });
  }

  test('is what a hint asks for, not a snapshot', async () => {
    const asks = 'Name a volume as /dev/VG/LV, /dev/mapper/NAME or VG/LV.';
    const lists = '"vgs" and "lvs" list the groups and volumes.';
    const noGroup: RunCommand = async (argv) => {
      const stderr = '  Volume group "vg9" not found';
      throw new CommandError({ argv, code: undefined, reason: 'exit status 5', status: 5, stderr });
    };
    const folder = async () => ({ kind: 'other', what: 'a directory' }) as const;
    for (const [subject, run, inspect, hint] of [
      [named('mial'), host(THICK).run, missing, `${lists} ${asks}`],
      ['vg9/mail', noGroup, missing, `${lists} ${asks}`],
      ['vg0', host(THICK).run, missing, asks],
      ['/run/srv', host(THICK).run, folder, asks],
    ] as const) {
      assert.equal((await refusal(findOrigin(subject, run, inspect))).hint, hint);
    }
  });
});

describe('making a snapshot', () => {
  const request = { origin: ORIGIN, tag: TAG, size: ['--size', '5g'], signal, time: TIME };

  test('is one call of lvcreate, with all tags, for a snapshot that cannot be written', async () => {
    const { run, calls } = host([...THICK, snapshotRow()]);
    const made = await makeSnapshot({ ...request, hooks: NO_HOOKS }, run);
    assert.equal(made.uuid, 'uuid-new');
    assert.deepEqual(calls.slice(0, -1), [
      [
        ...['lvcreate', '-q', '-y', '--snapshot', '--permission', 'r'],
        ...['--addtag', 'lvmsync_cycle', '--addtag', TAG],
        ...['--addtag', 'lvmsync_at_20261123T105507Z'],
        ...['--name', NAME, '--size', '5g', '--', `${ORIGIN.vgName}/${ORIGIN.lvName}`],
      ],
    ]);
  });

  test('gives it, in that call, what those before it had to hold', async () => {
    const { run, calls } = host([...THICK, snapshotRow()]);
    await makeSnapshot({ ...request, uses: [2048, 1], hooks: NO_HOOKS }, run);
    assert.equal(calls[0]?.join(' ').includes(' --addtag lvmsync_used_2.1 '), true);
  });

  const LOCKED =
    "/run/lock/lvm/V_my-vg: flock failed: Resource temporarily unavailable\n  Can't get lock for my-vg.";
  for (const [title, busy, freezes] of [
    ['is waited for before the freeze, and not in it', 1, 2],
    ['makes the turn fail in the end', 9, 5],
  ] as const) {
    test(`F31: a lock that another command holds ${title}`, async () => {
      const seen: string[] = [];
      const { run: answer } = host([...THICK, snapshotRow()]);
      let failures = busy;
      const run: RunCommand = async (argv, options) => {
        if (argv[0] === 'lvcreate') {
          seen.push(argv.includes('--test') ? 'test' : 'make');
          const mayWait = !argv.includes('global/wait_for_locks=0');
          assert.equal(mayWait, argv.includes('--test'));
          if (!mayWait && failures-- > 0) {
            throw new CommandError({
              argv,
              code: 'sourceUnfit',
              reason: 'exit status 5',
              stderr: LOCKED,
            });
          }
        }
        return answer(argv, options);
      };
      const log = join(scratchFolder(), 'log');
      const freeze = ['sh', '-c', 'echo freeze >>"$1"', 'sh', log] as const;
      const making = makeSnapshot({ ...request, hooks: { freeze, thaw: undefined } }, run);
      if (busy < 5) await making;
      else {
        const { message, state } = await refusal(making);
        assert.match(message, /held its lock during each of/);
        assert.match(
          state ?? '',
          /^Nothing was thawed: there is no --thaw-cmd\. No snapshot was made/,
        );
      }
      assert.deepEqual(seen, Array.from({ length: freezes }, () => ['test', 'make']).flat());
      assert.equal(readFileSync(log, 'utf8'), 'freeze\n'.repeat(freezes));
    });
  }

  test('fails if lvs does not show it then', async () => {
    const error = await refusal(makeSnapshot({ ...request, hooks: NO_HOOKS }, host(THICK).run));
    assert.match(error.message, /lvs does not list it/);
  });

  for (const [stderr, hint] of [
    ['Volume group "vg" has insufficient free space (0 extents): 1 required.', /vgextend/],
    ['Insufficient suitable allocatable extents found for logical volume x.', /vgextend/],
    ['Free space in thin pool vg/pool is below threshold', /lvextend/],
    ['Something else', /^$/],
  ] as const) {
    test(`says what to do about: ${stderr}`, async () => {
      const run: RunCommand = async (argv) => {
        throw new CommandError({ argv, code: 'sourceUnfit', reason: 'exit status 5', stderr });
      };
      const error = await refusal(makeSnapshot({ ...request, hooks: NO_HOOKS }, run));
      assert.equal(error.exitStatus, EXIT.sourceUnfit);
      assert.match(error.hint ?? '', hint);
      assert.match(error.state ?? '', /nothing was sent/);
    });
  }
});

describe('a name that another chain took in the same second', () => {
  const failing = (stderr: string): Promise<unknown> => {
    const run: RunCommand = async (argv) => {
      throw new CommandError({ argv, reason: 'exit status 5', stderr });
    };
    return refusal(
      makeSnapshot(
        { origin: ORIGIN, tag: TAG, size: undefined, time: TIME, hooks: NO_HOOKS, signal },
        run,
      ),
    );
  };

  test('is told by the words of lvcreate', async () => {
    const taken = `Logical Volume "${NAME}" already exists in volume group "vg"`;
    assert.equal(isNameTaken(await failing(taken)), true);
    assert.equal(isNameTaken(await failing('insufficient free space')), false);
    assert.equal(isNameTaken(new Error('already exists')), false);
  });
});

describe('a snapshot', () => {
  const snapshot = {
    vgName: 'vg',
    lvName: 'snap',
    uuid: 'a-b-c',
    time: TIME,
    state: 'whole',
  } as const;

  test('is removed by its uuid and tags, whatever has its name by now', async () => {
    const { run, calls } = host([]);
    await removeSnapshot(snapshot, TAG, run);
    const which = `lv_uuid="a-b-c" && lv_tags={"lvmsync_cycle" && "${TAG}"}`;
    assert.deepEqual(calls, [['lvremove', '-q', '-y', '--select', which, '--', 'vg']]);
  });

  test('F46: is activated although it is to be skipped, and deactivated, by its uuid', async () => {
    const { run, calls } = host([]);
    await activate(snapshot, run);
    await deactivate(snapshot, run);
    const which = ['--select', 'lv_uuid="a-b-c"', '--', 'vg'];
    assert.deepEqual(calls, [
      ['lvchange', '-q', '-ay', '-K', ...which],
      ['lvchange', '-q', '-an', ...which],
    ]);
  });
});

describe('the time of a new snapshot', () => {
  const [BEFORE, AHEAD] = ['2026-11-23T10:55:06Z', '2026-11-23T10:55:09Z'];
  const FAR_AHEAD = '2027-12-31T23:59:59Z';
  const warning = new RegExp(`in the future, ${FAR_AHEAD}, but the clock shows ${TIME}: new ones`);

  const CASES: readonly [
    title: string,
    former: string | undefined,
    expected: string,
    wait: number,
    warning?: RegExp,
  ][] = [
    ['is now', undefined, TIME, 0],
    ['is now after a former one', BEFORE, TIME, 0],
    ['is the next second in the same second', TIME, '2026-11-23T10:55:08Z', 600],
    ['is past one that is a little ahead', AHEAD, '2026-11-23T10:55:10Z', 2600],
    ['follows one that is far ahead', FAR_AHEAD, '2028-01-01T00:00:00Z', 0, warning],
  ];
  for (const [title, former, expected, wait, warned] of CASES) {
    test(title, () => {
      const actual = timeAfter(former, Date.parse('2026-11-23T10:55:07.400Z'));
      assert.deepEqual([actual.time, actual.wait], [expected, wait]);
      if (warned === undefined) assert.equal(actual.warning, undefined);
      else assert.match(actual.warning ?? '', warned);
    });
  }
});
