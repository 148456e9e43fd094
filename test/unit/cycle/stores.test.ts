import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askWarning, fillWarning, poolWarning } from '../../../src/cycle/fill-warning.js';
import {
  type CycleStore,
  readCycleStores,
  rememberUse,
  usesUpTo,
} from '../../../src/cycle/stores.js';
import type { CycleOrigin, CycleSnapshot } from '../../../src/cycle/volumes.js';
import type { Argv, RunCommand } from '../../../src/host/subprocess.js';
import { readFreeRoom } from '../../../src/lvm/free-room.js';
import type { StoreUse } from '../../../src/run/run-tally.js';
import { recorded } from '../../helpers/lvm/lvm-host.js';

const MiB = 1024 * 1024;
const TAG = 'lvmsync_0123456789ab';

type Row = Readonly<Record<string, string>>;
const ROWS: Row[] = JSON.parse(recorded('thick').lvs).report[0].lv;
const rowOf = (role: string): Row => ROWS.find(({ lv_role = '' }) => lv_role.includes(role)) ?? {};
const ORIGIN_ROW = rowOf('thickorigin');
const ORIGIN: CycleOrigin = {
  vgName: 'my-vg',
  lvName: ORIGIN_ROW.lv_name ?? '',
  uuid: ORIGIN_ROW.lv_uuid ?? '',
  size: 64 * MiB,
  kind: 'thick',
};

function snapshotRow(uuid: string, second: number, changes: Row & { readonly used?: string } = {}) {
  const { used, ...others } = changes;
  const name = `snap-${uuid}`;
  const tags = [
    `lvmsync_at_20261123T10550${second}Z`,
    'lvmsync_cycle',
    TAG,
    ...(used ? [used] : []),
  ];
  const own = { lv_name: name, lv_uuid: uuid, lv_size: `${8 * MiB}`, lv_tags: tags.join(',') };
  return { ...rowOf('thicksnapshot'), ...own, ...others };
}

/** Answers lvs with the rows, dmsetup by the end of the uuid; notes what else was run. */
function host(rows: readonly Row[], usage: Readonly<Record<string, string>>) {
  const changes: Argv[] = [];
  const run: RunCommand = async (argv) => {
    if (argv[0] === 'lvs') {
      const lv = [{ ...ORIGIN_ROW, lv_tags: '' }, ...rows];
      return { stdout: JSON.stringify({ report: [{ lv }] }), stderr: '' };
    }
    if (argv[0] !== 'dmsetup') changes.push(argv);
    const [, status = ''] =
      Object.entries(usage).find(([uuid]) => argv.at(-1)?.endsWith(uuid)) ?? [];
    return { stdout: `0 131072 snapshot ${status}\n`, stderr: '' };
  };
  return { run, changes };
}

const snapshot = (uuid: string, state: CycleSnapshot['state'] = 'whole'): CycleSnapshot => ({
  ...{ vgName: 'vg0', lvName: `mail-${uuid}`, uuid, time: '2026-11-23T10:55:07Z', state },
});
const store = (uuid: string, used: number, more: Partial<CycleStore> = {}): CycleStore => ({
  ...{ snapshot: snapshot(uuid), size: 8 * MiB, used: used * MiB, formerUses: [], ...more },
});

describe('the stores of a chain', () => {
  test('say how much they hold, and what those before them held', async () => {
    const rows = [
      snapshotRow('older', 1, { used: 'lvmsync_used_2048.512' }),
      snapshotRow('new', 2),
    ];
    const { run } = host(rows, { older: '4096/16384 16', new: '16/16384 16' });
    const found = await readCycleStores(ORIGIN, TAG, run);
    assert.deepEqual(
      found.map(({ snapshot: { uuid }, size, used, formerUses }) => [uuid, size, used, formerUses]),
      [
        ['older', 8 * MiB, 2 * MiB, [2 * MiB, MiB / 2]],
        ['new', 8 * MiB, 8192, []],
      ],
    );
  });

  test('that overflowed count as full', async () => {
    const rows = [snapshotRow('gone', 1, { lv_snapshot_invalid: '1' }), snapshotRow('late', 2)];
    const { run } = host(rows, { late: 'Invalid' });
    const found = await readCycleStores(ORIGIN, TAG, run);
    assert.deepEqual(
      found.map(({ used }) => used),
      [8 * MiB, 8 * MiB],
    );
  });

  test('that are merged, half made, of another chain or not active are left out', async () => {
    const rows = [
      snapshotRow('merging', 1, { lv_merging: '1' }),
      snapshotRow('half', 2, { lv_tags: `lvmsync_cycle,${TAG},lvmsync_unconfirmed` }),
      snapshotRow('other', 3, { lv_tags: 'lvmsync_at_20261123T105503Z,lvmsync_cycle,lvmsync_x' }),
    ];
    assert.deepEqual(await readCycleStores(ORIGIN, TAG, host(rows, {}).run), []);
  });

  test('of a thin volume are none', async () => {
    assert.deepEqual(await readCycleStores({ ...ORIGIN, kind: 'thin' }, TAG, host([], {}).run), []);
  });
});

describe('what the snapshots up to now had to hold', () => {
  test('is the use of the base before those that it remembers, eight at most', () => {
    const stores = [store('base', 3, { formerUses: Array(8).fill(MiB) }), store('next', 1)];
    assert.deepEqual(usesUpTo({ uuid: 'base' }, stores), [3 * MiB, ...Array(7).fill(MiB)]);
  });

  test('is that of the newest before a full copy, and all of one that overflowed', () => {
    const lost = store('lost', 8, { snapshot: snapshot('lost', 'lost') });
    assert.deepEqual(usesUpTo(undefined, [store('base', 3, { formerUses: [MiB] }), lost]), [
      8 * MiB,
    ]);
    assert.deepEqual(usesUpTo({ uuid: 'base' }, [store('base', 3), lost]), [8 * MiB]);
    assert.deepEqual(usesUpTo(undefined, []), []);
  });
});

describe('at the end of a run', () => {
  const step = { base: snapshot('base'), next: snapshot('next') };
  const remembered = async (base: string, next: string | undefined): Promise<readonly Argv[]> => {
    const rows = [
      snapshotRow('base', 1, { used: 'lvmsync_used_100.200' }),
      snapshotRow('next', 2, next === undefined ? {} : { used: next }),
    ];
    const { run, changes } = host(rows, { base, next: '16/16384 16' });
    await rememberUse(step, { origin: ORIGIN, tag: TAG }, run);
    return changes;
  };

  test('the next snapshot gets, in one call, what the base held in the end', async () => {
    const which = `lv_uuid="next" && lv_tags={"lvmsync_cycle" && "${TAG}"}`;
    assert.deepEqual(await remembered('4096/16384 16', 'lvmsync_used_1024.100.200'), [
      [
        ...['lvchange', '-q', '--addtag', 'lvmsync_used_2048.100.200'],
        ...['--deltag', 'lvmsync_used_1024.100.200', '--select', which, '--', 'vg0'],
      ],
    ]);
  });

  test('nothing is done where it has that already', async () => {
    assert.deepEqual(await remembered('4096/16384 16', 'lvmsync_used_2048.100.200'), []);
  });

  test('more that was needed before is not forgotten', async () => {
    assert.deepEqual(await remembered('16/16384 16', 'lvmsync_used_9999.100.200'), []);
  });
});

describe('the warning of a base that fills up', () => {
  const origin = { size: 64 * MiB };
  const warned = (base: CycleStore, more: { isAuto?: boolean; size?: number } = {}) =>
    fillWarning({
      base,
      uses: usesUpTo(base.snapshot, [base]),
      origin: more.size === undefined ? origin : { size: more.size },
      isAuto: more.isAuto ?? false,
    });

  test('names the size that the last intervals would have needed', () => {
    assert.equal(
      warned(store('base', 5, { formerUses: [6 * MiB, MiB] })),
      'vg0/mail-base: at the beginning of this run it is 62% full (5.0 MiB of 8.0 MiB); if it overflows, the next run has to compare everything (--compare): give the next ones --size 12M, twice the most that one of the last 3 intervals used, 6.0 MiB',
    );
  });

  test('says under --size auto what the next ones get', () => {
    assert.match(
      warned(store('base', 5), { isAuto: true }) ?? '',
      /: --size auto gives the next ones 10M, twice/,
    );
  });

  test('asks for no more than the volume can need', () => {
    assert.match(
      warned(store('base', 5), { size: 9 * MiB }) ?? '',
      /--size 10M, with which they can hold all/,
    );
  });

  for (const [title, base, size] of [
    ['that is just half full', store('base', 4), undefined],
    ['that can hold all of the volume', store('base', 7), 7 * MiB],
    [
      'that overflowed, which the run says itself',
      store('l', 8, { snapshot: snapshot('l', 'lost') }),
      undefined,
    ],
  ] as const) {
    test(`is not given for one ${title}`, () => {
      assert.equal(warned(base, size === undefined ? {} : { size }), undefined);
    });
  }

  /** What is warned of, and what the metrics get. */
  const asking = async (answer: string | Error, init = false) => {
    const warnings: string[] = [];
    const tally: { storeUse: StoreUse } = { storeUse: {} };
    const context = { reporter: { warn: (text: string) => warnings.push(text), tally } };
    const watched = {
      origin: ORIGIN,
      stores: [store('base', 5), store('next', 6)],
      command: { size: undefined, chain: { directory: '/chain', init, keep: [] } },
      context,
    };
    const ask = async () => {
      if (answer instanceof Error) throw answer;
      return { point: { uuid: answer, time: '' }, doing: undefined };
    };
    const failure = await askWarning(watched as never, ask).then(
      () => undefined,
      (error: unknown) => error,
    );
    return { warnings, use: tally.storeUse, failure };
  };

  test('is of the snapshot that the copy matches', async () => {
    const { warnings, use } = await asking('base');
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /^vg0\/mail-base: /);
    assert.deepEqual(use, { base: 0.625, wanted: 10 * MiB });
  });

  test('comes, too, where the host of the copy does not answer', async () => {
    const dead = new Error('no route');
    const { warnings, failure } = await asking(dead);
    assert.equal(failure, dead);
    assert.match(warnings.join(), /^vg0\/mail-next: /);
  });

  test('does not come before a full copy', async () => {
    assert.deepEqual(await asking('base', true), { warnings: [], use: {}, failure: undefined });
  });
});

describe('the warning of a thin pool', () => {
  const fill = (what: 'data' | 'metadata', percent: number) => ({
    name: 'vg0/pool',
    what,
    percent,
  });

  test('names what is nearly full, and how to enlarge it', () => {
    assert.equal(poolWarning([fill('data', 80), fill('metadata', 20)]), undefined);
    assert.equal(
      poolWarning([fill('data', 81.9), fill('metadata', 93)]),
      'vg0/pool: its data are 81% full and its metadata are 93% full, and when it is full, writes to all its volumes fail: make room with "lvextend --size +SIZE vg0/pool" and "lvextend --poolmetadatasize +SIZE vg0/pool"',
    );
  });
});

describe('the free room of a group', () => {
  const rooms =
    (...pv: Row[]): RunCommand =>
    async () => ({
      stdout: JSON.stringify({ report: [{ vg: pv }] }),
      stderr: '',
    });
  const device = (changes: Row): Row => ({
    ...{ vg_extent_size: '4194304', pv_free: '8388608', pv_allocatable: '1', pv_missing: '0' },
    ...changes,
  });

  test('is that of the devices which are there and may be used', async () => {
    const run = rooms(
      device({}),
      device({ pv_free: '4194304' }),
      device({ pv_allocatable: '0' }),
      device({ pv_missing: '1' }),
      device({ pv_allocatable: '', pv_missing: '' }),
    );
    const expected = { vgName: 'vg', extentSize: 4 * MiB, free: 12 * MiB };
    assert.deepEqual(await readFreeRoom('vg', run), expected);
  });

  test('is not guessed', async () => {
    await assert.rejects(readFreeRoom('vg', rooms()), /vgs: its report has no vg_extent_size/);
    await assert.rejects(readFreeRoom('vg', rooms(device({ pv_free: '1g' }))), /has no pv_free/);
  });
});
