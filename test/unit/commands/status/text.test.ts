import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CopyStatus } from '../../../../src/commands/status/copies.js';
import type { CycleStatus } from '../../../../src/commands/status/cycles.js';
import { asJson } from '../../../../src/commands/status/json.js';
import { formatStatus, type HostStatus } from '../../../../src/commands/status/text.js';
import { cycleSnapshot, TAG, volume } from '../../../helpers/lvm/cycle-volumes.js';

const T = '2026-11-23T10:00:00Z';
const clock = { now: Date.parse('2026-12-06T09:59:00Z'), maxAge: undefined };
const NOTHING: HostStatus = {
  ...{ clock, cycles: [], copies: [], problems: [], failures: [], notes: [] },
};
const PROBLEM = { what: 'it is \u001b[2Jbad', remedy: 'Mend it: lvmsync mend' };

function cycle(lvName: string, more: Partial<CycleStatus> = {}): CycleStatus {
  const origin = volume(lvName);
  const made = cycleSnapshot(origin, T);
  const { vgName, uuid } = made;
  const snapshot = {
    vgName,
    lvName: made.lvName,
    uuid,
    time: T,
    state: 'whole',
    volume: made,
  } as const;
  const fills = [{ name: `vg0/${made.lvName}`, what: 'COW store', percent: 12.34 } as const];
  const facts = { origin, tag: TAG, snapshots: [snapshot], time: T, fills, problems: [] };
  return { ...facts, place: undefined, isRunning: false, ...more };
}

function copy(path: string, more: Partial<CopyStatus> = {}): CopyStatus {
  const writer = { at: T, command: 'c', chain: '/chain' };
  const facts = { path, chain: '/chain', isRunning: false, record: undefined, gap: undefined };
  return { ...facts, points: [], inDoubt: 0, writer, problems: [], ...more };
}

describe('the table', () => {
  test('says how many restore points are in doubt, and where they are shown', () => {
    const points = [T, T].map((time) => ({ uuid: 'u', time }));
    const text = formatStatus({ ...NOTHING, copies: [copy('/copy', { points, inDoubt: 1 })] });
    assert.match(text, /restore points in \/chain, back to \S+; 1 in doubt, see "lvmsync chain"\n/);
    const exact = formatStatus({ ...NOTHING, copies: [copy('/copy', { points })] });
    assert.ok(!exact.includes('in doubt'));
  });

  test('has a row for each, with what it leads to, and a sentence at the end', () => {
    const place = {
      destination: 'root@backup:/dev/vg1/web',
      directory: '/backup/web',
      words: undefined,
    };
    const cycles = [
      cycle('mail', { problems: [PROBLEM] }),
      cycle('web', { place, isRunning: true }),
    ];
    assert.equal(
      formatStatus({ ...NOTHING, cycles })
        .replaceAll(/\S+T\d\d:\d\d:\d\d\S+/g, 'TIME')
        .replaceAll(/ +/g, ' '),
      [
        'CYCLE OF LAST SNAPSHOT AGE FULL STATE',
        'vg0/mail TIME 12 d 23 h 12.3% ATTENTION',
        ` to a destination known only by its tag, ${TAG}`,
        ' snapshot vg0/mail-lvmsync-20261123T100000Z, whole, 12.3% full',
        ' ! it is \\x1b[2Jbad',
        ' Mend it: lvmsync mend',
        'vg0/web TIME 12 d 23 h 12.3% running',
        ' to root@backup:/dev/vg1/web',
        ' restore points there in /backup/web',
        ' snapshot vg0/web-lvmsync-20261123T100000Z, whole, 12.3% full',
        '',
        '2 cycles, 0 copies: 1 needs attention.',
        '',
      ].join('\n'),
    );
  });

  test('fits 80 columns, and gives a long name a line of its own', () => {
    const long = cycle('a-volume-long-named', {
      problems: [{ what: 'x', remedy: 'y' }],
    });
    const copies = [copy('/srv/images/a-copy-with-a-long-name.img')];
    const lines = formatStatus({ ...NOTHING, cycles: [long, cycle('m')], copies }).split('\n');
    assert.deepEqual(
      lines.filter((line) => line.length > 80),
      [],
    );
    assert.equal(lines[1], 'vg0/a-volume-long-named');
    assert.match(lines[2] ?? '', /^ {22} {2}2026/);
  });

  for (const [what, status, last] of [
    ['nothing', {}, 'No cycle or copy is known here.'],
    ['nothing, and no LVM', { notes: ['no LVM'] }, 'No copy is known here (no LVM).'],
    [
      'a failure',
      { failures: [PROBLEM] },
      'No cycle or copy was found. Not everything could be looked at.',
    ],
    [
      'one copy, and no LVM',
      { notes: ['no LVM'], copies: [copy('/x')] },
      '1 copy (no LVM): all is well.',
    ],
    [
      'a copy and a failure',
      { failures: [PROBLEM], copies: [copy('/x')] },
      '0 cycles, 1 copy. Not everything could be looked at.',
    ],
    [
      'troubles and a failure',
      { failures: [PROBLEM], problems: [PROBLEM], copies: [copy('/x', { problems: [PROBLEM] })] },
      '0 cycles, 1 copy: 2 need attention. Not everything could be looked at.',
    ],
  ] as const) {
    test(`ends with a sentence on ${what}`, () => {
      assert.equal(
        formatStatus({ ...NOTHING, ...status })
          .trimEnd()
          .split('\n')
          .at(-1),
        last,
      );
    });
  }

  test('prints a failure unless the run ends with it', () => {
    const status = { ...NOTHING, failures: [PROBLEM, { what: 'other', remedy: undefined }] };
    assert.match(formatStatus(status), /^! it is .*\n {2}Mend it.*\n! other\n/);
    assert.match(formatStatus(status, PROBLEM), /^! other\n\n/);
  });
});

test('the object for programs has each member, whatever is known', () => {
  const cycles = [cycle('mail', { time: undefined })];
  const { cycles: [one] = [], ...all } = JSON.parse(
    JSON.stringify(asJson({ ...NOTHING, cycles, copies: [copy('/x')], problems: [PROBLEM] }, 2)),
  );
  assert.deepEqual(Object.keys(all), [
    'time',
    'exitStatus',
    'maxAgeSeconds',
    'copies',
    'problems',
    'failures',
    'notes',
  ]);
  assert.deepEqual(
    [one.destination, one.chain, one.time, one.ageSeconds],
    [null, null, null, null],
  );
  const [{ problems, writer, ...found }] = all.copies;
  assert.deepEqual(found, {
    ...{ path: '/x', chain: '/chain', running: false, point: null, ageSeconds: null, points: 0 },
    ...{ inDoubt: 0, oldest: null, doing: null, undone: null, gap: null },
  });
  assert.deepEqual([problems, writer.chain], [[], '/chain']);
});
