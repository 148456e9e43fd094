/** Back to every point of a chain, forward again, and all that keeps a rollback from beginning. */

import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { identityFromStat, lockKey } from '../../src/device/topology.js';
import { acquireRunLock } from '../../src/host/run-lock.js';
import { ChainLaboratory, type ChainSpec, pointAt } from '../helpers/chain/chain-laboratory.js';
import {
  assertFails,
  assertSucceeds,
  type CliResult,
  canTrace,
  lvmsync,
  runTool,
} from '../helpers/program/cli.js';
import { runInProcess } from '../helpers/program/in-process.js';
import { tracedLvmsync } from '../helpers/program/traced-cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
const random = new Random();
const SPEC: ChainSpec = { size: 512 * 1024, chunkSize: 4096, turns: 3, changedChunks: 40 };
let count = 0;

/** A chain that holds its last point. */
async function grown(spec: Partial<ChainSpec> = {}): Promise<ChainLaboratory> {
  const whole = { ...SPEC, ...spec };
  const chain = new ChainLaboratory(join(folder, `${count++}`), whole, random);
  await chain.advanceTo(whole.turns);
  return chain;
}

function rollback({ destination, chain }: ChainLaboratory, ...words: string[]): CliResult {
  return lvmsync(['rollback', ...words, destination, chain]);
}

/** Everything in a folder, by name. */
function contentOf(path: string): Map<string, string> {
  const entries = readdirSync(path, { withFileTypes: true, recursive: true });
  return new Map(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.path, entry.name))
      .sort()
      .map((name) => [name, readFileSync(name).toString('latin1')]),
  );
}

/** The run that a record names is another one each time, and so is when it wrote. */
function exceptWriter(files: Map<string, string>): Map<string, string> {
  const times = /,\s*"(?:writer|left)": \{[^}]*\}/g;
  return new Map([...files].map(([name, text]) => [name, text.replace(times, '')]));
}

describe('a rollback', () => {
  for (const target of [2, 1, 0]) {
    test(`to point ${target} restores exactly what the destination held then`, async () => {
      const chain = await grown();
      const { stderr } = rollback(chain, '--to', pointAt(target).time);
      chain.assertHolds(target);
      assert.match(stderr, new RegExp(`from ${pointAt(3).time} back to ${pointAt(target).time}`));
      const { point, incomplete, links, gap, unused } = chain.survey();
      assert.deepEqual(
        { point, incomplete, gap, unused },
        {
          point: pointAt(target),
          incomplete: false,
          gap: null,
          unused: [],
        },
      );
      assert.equal(links.length, target);
    });
  }

  test('goes step by step to every point', async () => {
    const chain = await grown();
    for (const target of [2, 1, 0]) {
      assertSucceeds(rollback(chain, '--steps', '1'));
      chain.assertHolds(target);
    }
    const further = rollback(chain, '--steps', '9');
    assertFails(further, 12, /does not go back 9 steps, only 0 steps, to 2026-/);
    assert.match(further.stderr, /\nNothing was written\.\n"lvmsync chain \/.*" lists the restore/);
  });

  test('is taken back by --redo, as often as there were rollbacks', async () => {
    const chain = await grown();
    const before = contentOf(chain.chain);
    assertSucceeds(rollback(chain, '--steps', '1'));
    assertSucceeds(rollback(chain, '--steps', '2'));
    chain.assertHolds(0);
    assertSucceeds(rollback(chain, '--redo'));
    chain.assertHolds(2);
    assertSucceeds(rollback(chain, '--redo'));
    chain.assertHolds(3);
    assert.deepEqual(exceptWriter(contentOf(chain.chain)), exceptWriter(before));
    assertFails(rollback(chain, '--redo'), 12, /nothing to redo/);
  });

  test('leaves a chain that turns are taken from, and then cannot be taken back', async () => {
    const chain = await grown();
    assertSucceeds(rollback(chain, '--steps', '2'));
    assertSucceeds(await chain.turn(2));
    chain.assertHolds(2);
    assertFails(rollback(chain, '--redo'), 12, /nothing to redo/);
    assertSucceeds(rollback(chain, '--steps', '2'));
    chain.assertHolds(0);
  });

  test('takes the current directory for the chain where none is named', async () => {
    const chain = await grown();
    const cwd = process.cwd();
    process.chdir(chain.chain);
    try {
      assertSucceeds(lvmsync(['rollback', '--steps', '1', chain.destination]));
    } finally {
      process.chdir(cwd);
    }
    chain.assertHolds(2);
  });

  test('to the present point has nothing to do', async () => {
    const chain = await grown();
    const before = contentOf(chain.chain);
    const result = rollback(chain, '--steps', '0');
    assertSucceeds(result);
    assert.match(result.stderr, /there is nothing to undo/);
    assert.deepEqual(contentOf(chain.chain), before);
  });

  test('that is a dry run is refused as the run is where another run writes the destination', async () => {
    const chain = await grown();
    const identity = identityFromStat(statSync(chain.destination, { bigint: true }));
    assert.ok(identity !== undefined);
    const request = { path: chain.destination, command: 'lvmsync something else' };
    const lock = await acquireRunLock(lockKey(identity), request);
    try {
      assertFails(rollback(chain, '--steps', '1', '--dry-run'), 19, /something else/);
    } finally {
      lock.release();
    }
  });

  test('that is a dry run says what it would do and writes nothing', async () => {
    const chain = await grown();
    const before = contentOf(chain.chain);
    const { stdout, status } = rollback(chain, '--to', pointAt(1).time, '--dry-run');
    assert.equal(status, 0);
    assert.match(stdout.toString(), /from 2026-11-23T03:00:00Z back to 2026-11-23T01:00:00Z/);
    assert.match(stdout.toString(), /2 steps, 2 snapbacks, 320\.0 KiB to be written/);
    assert.match(stdout.toString(), /03-00-00Z\.snapback\n.*02-00-00Z\.snapback\n/);
    chain.assertHolds(3);
    assert.deepEqual(contentOf(chain.chain), before);
    assertSucceeds(rollback(chain, '--steps', '1'));
    const undone = contentOf(chain.chain);
    assert.match(rollback(chain, '--redo', '--dry-run').stdout.toString(), /forward again to/);
    chain.assertHolds(2);
    assert.deepEqual(contentOf(chain.chain), undone);
  });

  test('undoes a turn that was cut off, and its attempts, in any number', async () => {
    const chain = await grown();
    assertSucceeds(rollback(chain, '--steps', '1'));
    for (const part of [1, 2, 1]) {
      await chain.cutOff(3, part);
    }
    const { incomplete, point, links } = chain.survey();
    assert.deepEqual([incomplete, point], [true, pointAt(2)]);
    assert.deepEqual(
      links.filter(({ attempt }) => attempt).map(({ name }) => name),
      ['.3', '.2', ''].map((number) => `2026-11-23T03-00-00Z${number}.snapback`),
    );
    assert.ok(!readFileSync(chain.destination).equals(chain.states[2] ?? Buffer.alloc(0)));
    assertSucceeds(rollback(chain, '--steps', '0'));
    chain.assertHolds(2);
    assertSucceeds(rollback(chain, '--steps', '1'));
    chain.assertHolds(1);
  });

  test('goes over a turn that needed several runs', async () => {
    const chain = await grown({ turns: 2 });
    assertSucceeds(rollback(chain, '--steps', '1'));
    await chain.cutOff(2, 2);
    assertSucceeds(await chain.turn(2));
    chain.assertHolds(2);
    assert.equal(chain.survey().links.length, 3);
    assertSucceeds(rollback(chain, '--to', pointAt(0).time));
    chain.assertHolds(0);
    assertSucceeds(rollback(chain, '--redo'));
    chain.assertHolds(2);
  });

  test('gives a file that a turn made longer its former size, and the longer one back', async () => {
    const chain = await grown({ turns: 1 });
    const { states, destination } = chain;
    const small = states[1] ?? Buffer.alloc(0);
    const large = Buffer.concat([small, random.bytes(8192)]);
    const data = large.subarray(small.length);
    const attributes = {
      fromPoint: pointAt(1).uuid,
      fromTime: pointAt(1).time,
      toPoint: pointAt(2).uuid,
      toTime: pointAt(2).time,
    };
    const facts = { groups: [[{ offset: small.length, data }]], attributes };
    const stream = await chain.stream(1, { ...facts, deviceSize: large.length });
    assertSucceeds(lvmsync(['--apply', stream, '--chain', chain.chain, destination]));
    assert.ok(readFileSync(destination).equals(large));
    assertSucceeds(rollback(chain, '--steps', '1'));
    assert.ok(readFileSync(destination).equals(small));
    assertSucceeds(rollback(chain, '--redo'));
    assert.ok(readFileSync(destination).equals(large));
    assertSucceeds(rollback(chain, '--steps', '2'));
    chain.assertHolds(0);
  });
});

const skip = canTrace() ? false : 'strace is not permitted here';

describe('a signal', { skip }, () => {
  test('ends a rollback, says what it left, and the same command finishes it', async () => {
    const chain = await grown({ changedChunks: 100 });
    const words = ['rollback', '--to', pointAt(0).time, chain.destination, chain.chain];
    // As the record says that it begins: after two claims of the lock, and the record in the folder.
    const inject = 'rename:signal=TERM:when=4';
    const output = `${chain.destination}.trace`;
    const tracing = { paths: [], calls: ['rename'], inject, output };
    const result = await tracedLvmsync(words, tracing);
    assertFails(result, 143, /interrupted by SIGTERM/);
    assert.match(
      result.stderr,
      /is between two restore points: the rollback is not|Nothing was written/,
    );
    assert.match(result.stderr, /Run the same command again to finish it/);
    assert.equal(chain.survey().incomplete, true);
    assertSucceeds(rollback(chain, '--to', pointAt(0).time));
    chain.assertHolds(0);
  });
});

describe('a rollback that is killed', { skip }, () => {
  /** Whether it was. */
  async function kill(chain: ChainLaboratory, inject: string): Promise<boolean> {
    const words = ['rollback', '--to', pointAt(1).time, chain.destination, chain.chain];
    const [call = ''] = inject.split(':');
    const tracing = { paths: [], calls: [call], inject, output: `${chain.destination}.trace` };
    return (await tracedLvmsync(words, tracing)).signal === 'SIGKILL';
  }

  test('before any of its renames is finished by the same command, and can be taken back', async () => {
    let killed = 0;
    for (let nth = 1; ; nth++) {
      const chain = await grown();
      if (!(await kill(chain, `rename:signal=KILL:when=${nth}`))) break;
      killed++;
      assertSucceeds(rollback(chain, '--to', pointAt(1).time));
      chain.assertHolds(1, `killed before rename ${nth}`);
      const { gap, unused, incomplete, links } = chain.survey();
      assert.deepEqual([gap, unused, incomplete, links.length], [null, [], false, 1]);
      assertSucceeds(rollback(chain, '--redo'));
      chain.assertHolds(3, `killed before rename ${nth}`);
      assert.equal(chain.survey().links.length, 3);
    }
    // Two claims of the lock, three records, an entry in the registry of copies and two links.
    assert.equal(killed, 9);
  });

  test('more than once is taken back as a whole', async () => {
    const chain = await grown();
    const { destination, states } = chain;
    const isMixed = (): boolean => !readFileSync(destination).equals(states[3] ?? Buffer.alloc(0));
    for (const nth of [2, 4]) assert.ok(await kill(chain, `pwrite64:signal=KILL:when=${nth}`));
    assert.ok(isMixed());
    const refused = await chain.turn(3);
    assertFails(refused, 12, /a rollback is not finished/);
    const command = `lvmsync rollback --to \\S+Z ${destination} ${chain.chain}`;
    assert.match(refused.stderr, new RegExp(`^Finish it first: ${command}$`, 'm'));
    assertFails(rollback(chain, '--steps', '1'), 12, /run it again, or roll back further/);
    assertSucceeds(rollback(chain, '--redo'));
    chain.assertHolds(3);
    for (const nth of [2, 4]) assert.ok(await kill(chain, `pwrite64:signal=KILL:when=${nth}`));
    assertSucceeds(rollback(chain, '--to', pointAt(0).time));
    chain.assertHolds(0);
    assertSucceeds(rollback(chain, '--redo'));
    chain.assertHolds(3);
  });
});

describe('a rollback that cannot be finished', { skip }, () => {
  for (const how of ['rollback', 'redo']) {
    test(`does not keep a chain from being begun anew (${how})`, async () => {
      const chain = await grown();
      const { destination } = chain;
      const back = ['rollback', '--to', pointAt(1).time, destination, chain.chain];
      if (how === 'redo') assertSucceeds(lvmsync(back));
      const words = how === 'redo' ? ['rollback', '--redo', destination, chain.chain] : back;
      const inject = 'pwrite64:signal=KILL:when=3';
      const tracing = { paths: [], calls: ['pwrite64'], inject, output: `${destination}.trace` };
      assert.equal((await tracedLvmsync(words, tracing)).signal, 'SIGKILL');
      const folder = readdirSync(chain.chain).find((name) => name.startsWith('undone'));
      rmSync(join(chain.chain, folder ?? assert.fail(), 'redo.snapback'));
      const held = readFileSync(destination);
      assertFails(lvmsync(await chain.words(0)), 12, /a rollback is not finished/);
      assert.ok(readFileSync(destination).equals(held));
      assertSucceeds(await chain.turn(0, ['--force']));
      chain.assertHolds(0);
      const { point, incomplete, undone, links, gap } = chain.survey();
      assert.deepEqual(
        { point, incomplete, undone, links, gap },
        { point: pointAt(0), incomplete: false, undone: null, links: [], gap: null },
      );
      assertFails(rollback(chain, '--redo'), 12, /nothing to redo/);
      assertSucceeds(await chain.turn(1));
      assertSucceeds(rollback(chain, '--steps', '1'));
      chain.assertHolds(0);
    });
  }
});

/** A chain whose turns write the same places, on a small file system; undefined where none can be mounted. */
async function grownOnSmallDisk(): Promise<ChainLaboratory | undefined> {
  const spec = { ...SPEC, turns: 6, changedChunks: 120 };
  const chain = new ChainLaboratory(join(folder, `${count++}`), spec, random);
  mkdirSync(chain.chain);
  const small = ['-t', 'tmpfs', '-o', 'size=16m,mode=700', 'none', chain.chain];
  if (runTool(['mount', ...small]).status !== 0) return undefined;
  writeFileSync(chain.destination, chain.before);
  for (let turn = 0; turn <= 6; turn++) assertSucceeds(await runInProcess(await chain.words(turn)));
  return chain;
}

/** Leaves so many bytes free, beside a file that can be removed again: its path. */
function fill({ chain }: ChainLaboratory, free: number): string {
  const { bavail, bsize } = statfsSync(chain);
  const filler = join(chain, 'filler');
  writeFileSync(filler, Buffer.alloc(bavail * bsize - free));
  return filler;
}

test('a rollback needs room for what it overwrites, a place of several turns once', async (t) => {
  const chain = await grownOnSmallDisk();
  if (chain === undefined) return t.skip('no tmpfs can be mounted here');
  const KiB = 1024;
  const { destination } = chain;
  const back = ['rollback', '--to', pointAt(0).time, destination, chain.chain];
  const undoneFolders = (): string[] =>
    readdirSync(chain.chain).filter((name) => name.startsWith('undone'));
  try {
    // Of 512 KiB, with what every snapback needs; all turns together wrote 2880 KiB.
    let filler = fill(chain, 1500 * KiB);
    for (const more of [[], ['--dry-run']]) {
      assertFails(lvmsync([...back, ...more]), 16, /redo.snapback: not enough room/);
      assert.deepEqual(undoneFolders(), []);
    }
    rmSync(filler);
    filler = fill(chain, 1700 * KiB);
    assertSucceeds(lvmsync([...back, '--dry-run']));
    if (canTrace()) {
      const inject = 'pwrite64:signal=KILL:when=6';
      const tracing = { paths: [], calls: ['pwrite64'], inject, output: `${destination}.trace` };
      assert.equal((await tracedLvmsync(back, tracing)).signal, 'SIGKILL');
      // What the run that was cut off has saved is not saved again.
      rmSync(filler);
      filler = fill(chain, 680 * KiB);
    }
    assertSucceeds(lvmsync([...back, '--dry-run']));
    assertSucceeds(lvmsync(back));
    chain.assertHolds(0);
    assertSucceeds(rollback(chain, '--redo', '--dry-run'));
    runTool(['mount', '-o', 'remount,ro', chain.chain]);
    assertFails(rollback(chain, '--redo', '--dry-run'), 16, /EROFS/);
    assertFails(rollback(chain, '--redo'), 16, /EROFS|read-only/);
    runTool(['mount', '-o', 'remount,rw', chain.chain]);
    assertSucceeds(rollback(chain, '--redo'));
    chain.assertHolds(6);
    runTool(['mount', '-o', 'remount,ro', chain.chain]);
    assertFails(lvmsync([...back, '--dry-run']), 16, /EROFS/);
    assertFails(lvmsync(back), 16, /EROFS|read-only/);
  } finally {
    runTool(['umount', chain.chain]);
  }
});

test('a rollback whose folder cannot be filled leaves none', { skip }, async () => {
  const chain = await grown();
  const before = contentOf(chain.chain);
  const words = ['rollback', '--steps', '1', chain.destination, chain.chain];
  // The first flush is that of the directory, the second that of the record in the folder.
  for (const nth of [1, 2, 3]) {
    const inject = `fsync:error=ENOSPC:when=${nth}`;
    const tracing = { paths: [], calls: ['fsync'], inject, output: `${chain.destination}.trace` };
    assertFails(await tracedLvmsync(words, tracing), 16, /ENOSPC/);
    assert.deepEqual(
      readdirSync(chain.chain),
      [...before.keys()].map((name) => basename(name)),
    );
  }
});

describe('before a rollback writes anything', () => {
  const link = (chain: ChainLaboratory, point: number): string =>
    join(chain.chain, `${pointAt(point).time.replaceAll(':', '-')}.snapback`);

  const faults: readonly [
    what: string,
    spoil: (chain: ChainLaboratory) => unknown,
    status: number,
    message: RegExp,
  ][] = [
    [
      'a missing link',
      (chain) => rmSync(link(chain, 2)),
      15,
      /the snapback before .*03-00-00Z.* is missing/,
    ],
    [
      'a flipped bit',
      (chain) => {
        const bytes = readFileSync(link(chain, 1));
        const place = 5000 + random.below(bytes.length - 10_000);
        bytes.writeUInt8(bytes.readUInt8(place) ^ (1 << random.below(8)), place);
        writeFileSync(link(chain, 1), bytes);
      },
      15,
      /snapback: .*(this group was used|its first group is damaged or incomplete)/,
    ],
    [
      'a link that lost its end',
      (chain) => truncateSync(link(chain, 2), readFileSync(link(chain, 2)).length - 1),
      14,
      /although its run had finished/,
    ],
    [
      'a link that has something behind its end',
      (chain) => appendFileSync(link(chain, 3), 'more'),
      15,
      /there is data after its end mark/,
    ],
    [
      "a foreign file in a link's place",
      (chain) => writeFileSync(link(chain, 2), 'lvmsync PROTO[3]\nsomething else'),
      15,
      /is missing/,
    ],
    [
      'a link of another chain in its place',
      async (chain) => copyFileSync(link(await grown(), 2), link(chain, 2)),
      15,
      /is missing/,
    ],
    [
      'a copy of a link under another name',
      (chain) => copyFileSync(link(chain, 2), link(chain, 9)),
      15,
      /are the same snapback/,
    ],
    [
      'a destination of another size',
      (chain) => appendFileSync(chain.destination, 'x'),
      12,
      /size is .*\(524289 bytes\), but the chain recorded .*\(524288 bytes\)/,
    ],
    [
      'a destination of another name',
      (chain) => {
        renameSync(chain.destination, `${chain.destination}-2`);
        copyFileSync(`${chain.destination}-2`, chain.destination);
        const record = join(chain.chain, 'chain.json');
        writeFileSync(record, readFileSync(record, 'utf8').replace('/destination"', '/other"'));
      },
      12,
      /the chain belongs to .*\/other/,
    ],
    [
      'a record that is damaged',
      (chain) => truncateSync(join(chain.chain, 'chain.json'), 20),
      15,
      /not the record of a chain/,
    ],
    ['no record', (chain) => rmSync(join(chain.chain, 'chain.json')), 12, /does not hold a chain/],
    [
      'a directory that others may write to',
      (chain) => chmodSync(chain.chain, 0o777),
      16,
      /can be written by others/,
    ],
  ];
  for (const [what, spoil, status, message] of faults) {
    test(`${what} is refused with status ${status}`, async () => {
      const chain = await grown();
      await spoil(chain);
      const destination = readFileSync(chain.destination);
      const before = contentOf(chain.chain);
      for (const more of [[], ['--dry-run']]) {
        const result = rollback(chain, '--to', pointAt(0).time, ...more);
        assertFails(result, status, message);
      }
      assert.ok(readFileSync(chain.destination).equals(destination));
      assert.deepEqual(contentOf(chain.chain), before);
    });
  }

  test('a damaged snapback of a run that finished is not called unused', async () => {
    const chain = await grown();
    const bytes = readFileSync(link(chain, 3));
    for (const at of [bytes.length >> 1, 5000]) {
      bytes.fill(0, at);
      writeFileSync(link(chain, 3), bytes);
      const { stderr } = rollback(chain, '--steps', '1');
      assert.match(stderr, /\nNothing was written\.\nIts run finished, so all of it is needed: /);
      assert.doesNotMatch(stderr, /overwrote nothing/);
    }
  });

  test('without DIR it is said which directory holds no chain', async () => {
    const chain = await grown();
    const words = ['rollback', '--steps', '1', chain.destination];
    const result = lvmsync(words, { cwd: '/' });
    assertFails(result, 12, /: the current directory \(no DIR was given\) does not hold a chain$/);
    assert.match(result.stderr, /\nType the directory of the restore points after DESTINATION/);
    const other = lvmsync([...words, dirname(chain.destination)]);
    assertFails(other, 12, /: it does not hold a chain$/);
    assert.match(other.stderr, /\nCheck its name: /);
  });

  test('files that are not of the chain are left alone', async () => {
    const chain = await grown();
    const stray = join(chain.chain, '2026-01-01T00-00-00Z.snapback');
    writeFileSync(stray, 'torn');
    writeFileSync(join(chain.chain, 'notes.txt'), 'mine');
    assert.deepEqual(chain.survey().unused, ['2026-01-01T00-00-00Z.snapback']);
    assertSucceeds(rollback(chain, '--steps', '3'));
    chain.assertHolds(0);
    assert.ok(existsSync(stray));
  });

  test('a snapback of the rollback that is damaged keeps --redo from beginning', async () => {
    const chain = await grown();
    assertSucceeds(rollback(chain, '--steps', '2'));
    const undone = chain.survey().undone?.folder ?? '';
    const redo = join(chain.chain, undone, 'redo.snapback');
    truncateSync(redo, readFileSync(redo).length - 1000);
    assertFails(rollback(chain, '--redo'), 14, /although its run had finished/);
    chain.assertHolds(1);
  });

  const usage: readonly [string[], RegExp][] = [
    [[], /one of --to, --steps and --redo/],
    [['--to', '2026', '--steps', '1'], /one of --to, --steps and --redo/],
    [['--steps', 'two'], /--steps: expected a whole number, 0 or more, saw "two"/],
    [['--steps', '1.5'], /--steps: expected a whole number, 0 or more, saw "1.5"/],
    [['--to', 'yesterday'], /--to: expected a time/],
    [['--snapback', 'x', '--redo'], /--snapback cannot be used with rollback/],
  ];
  for (const [words, message] of usage) {
    test(`"${words.join(' ')}" is wrong usage`, () => {
      assertFails(lvmsync(['rollback', ...words, 'destination']), 1, message);
    });
  }
});
