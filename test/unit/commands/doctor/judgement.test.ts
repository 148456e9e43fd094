import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { judgeSize } from '../../../../src/commands/doctor/destination.js';
import {
  judgeMachine,
  type MachineFacts,
  OLDEST_NODE,
} from '../../../../src/commands/doctor/machine.js';
import type { Level } from '../../../../src/commands/doctor/report.js';
import { judgeFill } from '../../../../src/commands/doctor/source.js';
import {
  isAtLeast,
  judgeTool,
  type Needs,
  TOOLS,
  type ToolAnswer,
} from '../../../../src/commands/doctor/tools.js';
import { CommandError } from '../../../../src/host/subprocess.js';

const ALL: Needs = { lvm: true, thin: true, ssh: true };
const NONE: Needs = { lvm: false, thin: false, ssh: false };

function said(stdout: string, stderr = ''): ToolAnswer {
  return { stdout, stderr };
}

describe('versions', () => {
  const cases: readonly [string, string, boolean][] = [
    ['0.9.0', '0.9', true],
    ['0.8.5', '0.9', false],
    ['1.0.6', '0.9', true],
    ['0.10', '0.9', true],
    ['18.20', '18.20', true],
    ['18.19.9', '18.20', false],
    ['2', '1.99', true],
  ];
  for (const [version, minimum, expected] of cases) {
    test(`${version} is ${expected ? '' : 'not '}at least ${minimum}`, () => {
      assert.equal(isAtLeast(version, minimum), expected);
    });
  }
});

describe('the doctor on tools', () => {
  const absent = new CommandError({ argv: ['x'], reason: 'not found' });
  const failed = new CommandError({ argv: ['x'], reason: 'exit status 5', status: 5 });
  const lvm = said('  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185\n');
  const cases: readonly [tool: string, what: string, ToolAnswer, Needs, Level, RegExp, RegExp?][] =
    [
      ['lvs', 'its version', lvm, ALL, 'ok', /^2\.03\.16$/],
      ['vgcfgbackup', 'its version', lvm, ALL, 'ok', /^2\.03\.16$/],
      [
        'dmsetup',
        'its version',
        said('Library version:   1.02.185 (x)\n'),
        ALL,
        'ok',
        /^1\.02\.185$/,
      ],
      ['thin_dump', 'the oldest', said('0.9.0\n'), ALL, 'ok', /^0\.9\.0$/],
      ['thin_dump', 'a newer one', said('thin_dump 1.0.12\n'), ALL, 'ok', /^1\.0\.12$/],
      [
        'thin_dump',
        'one too old',
        said('0.8.5\n'),
        ALL,
        'missing',
        /too old, 0\.9 or newer/,
        /newer thin-prov/,
      ],
      ['thin_dump', 'one too old that nobody needs', said('0.8.5\n'), NONE, 'warning', /too old/],
      ['ssh', 'its version', said('', 'OpenSSH_9.2p1 Debian-2, OpenSSL 3\n'), ALL, 'ok', /^9\.2$/],
      [
        'ssh',
        'another ssh',
        said('', 'Dropbear v2022\n'),
        ALL,
        'warning',
        /does not report its version/,
      ],
      ['lvs', 'none', absent, ALL, 'missing', /^not found: no snapshot/, /apt-get install lvm2\.$/],
      ['lvs', 'none where nothing is read', absent, NONE, 'warning', /^not found/],
      [
        'ssh',
        'none where no host is named',
        absent,
        { ...ALL, ssh: false },
        'warning',
        /^not found/,
      ],
      ['dmsetup', 'one that fails', failed, ALL, 'missing', /exit status 5/],
    ];
  for (const [name, what, answer, needs, level, text, remedy] of cases) {
    test(`${name}: ${what} is ${level}`, () => {
      const tool = TOOLS.find((one) => one.name === name);
      assert.ok(tool !== undefined);
      const found = judgeTool(tool, answer, needs);
      assert.equal(found.level, level);
      assert.match(found.text, text);
      if (remedy !== undefined) assert.match(found.remedy ?? '', remedy);
      assert.equal(
        found.remedy === undefined,
        level === 'ok' || answer === failed || /report/.test(found.text),
      );
    });
  }
});

describe('the doctor on the machine', () => {
  const well: MachineFacts = {
    node: '20.1.0',
    engine: { name: 'io_uring', refused: null },
    uid: 0,
    lz4: true,
    ssh2: true,
    targets: ['linear', 'snapshot', 'thin-pool'],
    modules: '',
    locks: { kind: 'found', path: '/run/lvmsync' },
    canKeepRecords: true,
  };
  const threads = (refused: string | null): Partial<MachineFacts> => ({
    engine: { name: 'threads', refused },
  });
  const broken = new CommandError({
    argv: ['dmsetup'],
    reason: 'exit status 1',
    status: 1,
    stderr: '/dev/mapper/control: open failed: No such device\nCommand failed.\n',
  });
  const both = 'kernel/drivers/md/dm-snapshot.ko.xz: x\nkernel/drivers/md/dm-thin_pool.ko\n';

  test('finds nothing where all is well', () => {
    const found = judgeMachine(well, ALL);
    assert.ok(found.length >= 9);
    assert.ok(found.every(({ level }) => level === 'ok'));
  });

  const cases: readonly [what: string, Partial<MachineFacts>, Needs, string, Level, RegExp][] = [
    ['an old Node', { node: '18.19.1' }, ALL, 'Node.js', 'missing', /too old: 18\.20 or newer/],
    ['a user where LVM is needed', { uid: 7 }, ALL, 'rights', 'missing', /^user 7/],
    ['a user who only writes a file', { uid: 7 }, NONE, 'rights', 'warning', /^user 7/],
    ['a forbidden io_uring', threads('EPERM'), ALL, 'io_uring', 'warning', /EPERM.*sysctl/],
    ['no io_uring', threads('ENOSYS'), ALL, 'io_uring', 'warning', /ENOSYS.*Linux 5\.6/],
    ['threads that were asked for', threads(null), ALL, 'io_uring', 'warning', /as requested/],
    ['targets to be loaded', { targets: [], modules: both }, ALL, 'kernel', 'ok', /loaded when/],
    ['no targets', { targets: ['linear'] }, ALL, 'kernel', 'warning', /no target .*modprobe dm-/],
    [
      'no device mapper',
      { targets: broken },
      ALL,
      'kernel',
      'missing',
      /\(\/dev\/mapper\/control: open failed: No such device\)/,
    ],
    [
      'none where it is not needed',
      { targets: broken },
      NONE,
      'kernel',
      'warning',
      /cannot be queried/,
    ],
    ['who may not ask', { targets: broken, uid: 7 }, ALL, 'kernel', 'warning', /only root/],
    [
      'no place for locks',
      { locks: { kind: 'none', faults: ['/run: full'] } },
      ALL,
      'locks',
      'missing',
      /\/run: full/,
    ],
    ['no place for records', { canKeepRecords: false }, ALL, 'records', 'missing', /metadata snap/],
    ['no compression', { lz4: false }, ALL, 'lz4-napi', 'warning', /npm install lz4-napi/],
    ['no built-in client', { ssh2: false }, ALL, 'ssh2', 'warning', /npm install ssh2/],
  ];
  for (const [what, facts, needs, subject, level, text] of cases) {
    test(`takes ${what} for: ${level}`, () => {
      const found = judgeMachine({ ...well, ...facts }, needs);
      const about = found.filter((one) => one.subject === subject);
      assert.ok(about.length > 0);
      for (const one of about) {
        assert.equal(one.level, level);
        assert.match(`${one.text} ${one.remedy ?? ''}`, text);
      }
      const others = found.filter((one) => one.subject !== subject && one.subject !== 'rights');
      assert.ok(others.every((one) => one.level === 'ok'));
    });
  }

  test('leaves records out where no thin volume is read, and targets where there is no dmsetup', () => {
    const absent = new CommandError({ argv: ['dmsetup'], reason: 'not found' });
    const found = judgeMachine(
      { ...well, canKeepRecords: false, targets: absent },
      { ...ALL, thin: false },
    );
    assert.deepEqual(
      found.filter(
        ({ subject, level }) => subject === 'records' || subject === 'kernel' || level !== 'ok',
      ),
      [],
    );
  });

  test('asks for the Node that the package asks for', () => {
    const path = new URL('../../../../../package.json', import.meta.url);
    const { engines } = JSON.parse(readFileSync(path, 'utf8'));
    assert.equal(engines.node, `>=${OLDEST_NODE}`);
  });
});

describe('the doctor on devices', () => {
  const fills = [
    ['COW store', 79.9, 'ok', undefined, /full$/],
    ['COW store', 80, 'warning', /lvextend --size \+SIZE vg\/s\./, /the snapshot is lost/],
    ['data', 99, 'warning', /lvextend --size/, /if it fills up, writes to its volumes fail$/],
    ['metadata', 81, 'warning', /lvextend --poolmetadatasize/, /writes to its volumes fail$/],
  ] as const;
  for (const [what, percent, level, remedy, text] of fills) {
    test(`${what} at ${percent}% is ${level}`, () => {
      const found = judgeFill({ name: 'vg/s', what, percent });
      assert.equal(found.level, level);
      assert.match(found.text, text);
      if (remedy === undefined) assert.equal(found.remedy, undefined);
      else assert.match(found.remedy ?? '', remedy);
    });
  }

  const sizes: readonly [
    string,
    { size?: number; fileSize?: number },
    number | undefined,
    Level,
  ][] = [
    ['a device of the size of the source', { size: 10 }, 10, 'ok'],
    ['a larger one', { size: 11 }, 10, 'ok'],
    ['a smaller one', { size: 9 }, 10, 'missing'],
    ['a file, which grows as the source did', { fileSize: 8 }, 10, 'ok'],
    ['F3: a file that is shorter than the source ever was', { fileSize: 7 }, 10, 'missing'],
    ['a file of an older lvmsync, which does not tell its size', {}, 10, 'ok'],
    ['a device for a source that is not known', { size: 9 }, undefined, 'ok'],
  ];
  for (const [what, place, size, level] of sizes) {
    test(`${what} is ${level}`, () => {
      const source = { size, copySize: size === undefined ? undefined : 8 };
      const [found] = judgeSize({ path: '/dev/x', text: 'may', ...place }, source);
      assert.equal(found?.level, level);
      if (level === 'missing') {
        assert.match(
          found?.text ?? '',
          /has (9 bytes, the source 10|7 bytes, the source had 8) bytes$/,
        );
      }
    });
  }
});
