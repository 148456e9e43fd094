/** Turns of a chain as its receiver takes them, on files. */

import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChainLaboratory, type ChainSpec, pointAt } from '../helpers/chain/chain-laboratory.js';
import {
  assertFails,
  assertSucceeds,
  canTrace,
  lvmsync,
  runTool,
  startLvmsync,
} from '../helpers/program/cli.js';
import { tracedLvmsync } from '../helpers/program/traced-cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';
import { classicStream } from '../helpers/streams/stream-parts.js';

const folder = scratchFolder();
const random = new Random();
const SPEC: ChainSpec = { size: 1024 * 1024, chunkSize: 4096, turns: 4, changedChunks: 60 };
let count = 0;

function laboratory(spec: Partial<ChainSpec> = {}): ChainLaboratory {
  const chain = new ChainLaboratory(join(folder, `${count++}`), { ...SPEC, ...spec }, random);
  chain.reset();
  return chain;
}

describe('a chain', () => {
  test('that does not exist is an answer to a program, an error to a person', () => {
    const chain = laboratory();
    const { exists, point, incomplete, links } = chain.survey();
    assert.deepEqual(
      { exists, point, incomplete, links },
      {
        exists: false,
        point: null,
        incomplete: false,
        links: [],
      },
    );
    assert.ok(!existsSync(chain.chain));
    const missing = lvmsync(['chain', chain.chain]);
    // F20: a monitor takes 0 for a history that is well.
    assertFails(missing, 12, /^FATAL ERROR: .*: no such directory$/);
    assert.match(
      missing.stderr,
      /\nCheck the name\. The first cycle run, on the host of VOLUME, creates one: "lvmsync cycle --init/,
    );
    assert.equal(missing.stdout.length, 0);
    mkdirSync(chain.chain);
    assertFails(lvmsync(['chain', chain.chain]), 12, /^FATAL ERROR: .*: it does not hold a chain$/);
  });

  test('says of a destination that is missing how a first run makes it', () => {
    const chain = laboratory();
    const missing = join(chain.chain, 'nowhere', 'copy');
    const { stdout } = lvmsync(['chain', '--json', chain.chain, missing]);
    const { mismatch, remedy } = JSON.parse(stdout.toString());
    assert.equal(mismatch, `${missing}: cannot open: no such device or file (ENOENT)`);
    assert.match(
      remedy,
      /^The directory .*nowhere does not exist: .* --size SIZE .*then run the same/,
    );
  });

  test('begins with a full copy, which keeps no snapback', async () => {
    const chain = laboratory();
    assertSucceeds(await chain.turn(0));
    chain.assertHolds(0);
    assert.deepEqual(readdirSync(chain.chain), ['chain.json']);
    assert.equal(statSync(chain.chain).mode & 0o777, 0o700);
    assert.equal(statSync(join(chain.chain, 'chain.json')).mode & 0o777, 0o600);
    const { exists, point, incomplete, mismatch } = chain.survey();
    assert.deepEqual(
      { exists, point, incomplete, mismatch },
      {
        exists: true,
        point: pointAt(0),
        incomplete: false,
        mismatch: null,
      },
    );
  });

  test('of another destination says so on standard error, with what to do', async () => {
    const chain = laboratory();
    assertSucceeds(await chain.turn(0));
    const other = join(chain.chain, 'other');
    const result = lvmsync(['chain', chain.chain, other]);
    assertFails(result, 12, /^FATAL ERROR: .*other: cannot open: .*\(ENOENT\)$/);
    assert.match(result.stderr, /\nCheck its name\.\n$/);
    assert.match(String(result.stdout), /^ {2}holds /m);
    writeFileSync(other, 'x');
    const wrong = lvmsync(['chain', chain.chain, other]);
    assert.match(wrong.stderr, /^FATAL ERROR: .*\n.+\n$/);
  });

  test('grows by a snapback with each turn, which names the one before it', async () => {
    const chain = laboratory();
    await chain.advanceTo(3);
    const { point, points, links, gap } = chain.survey();
    assert.deepEqual(point, pointAt(3));
    assert.equal(gap, null);
    assert.deepEqual(
      points.map(({ uuid }) => uuid),
      ['point-3', 'point-2', 'point-1', 'point-0'],
    );
    assert.deepEqual(
      links.map(({ name }) => name),
      [3, 2, 1].map((hour) => `2026-11-23T0${hour}-00-00Z.snapback`),
    );
    assert.deepEqual(
      links.map(({ previous }) => previous),
      [...links.slice(1).map(({ streamId }) => streamId), null],
    );
  });

  test('says so where no stream has come yet, and where one was cut off before its data', async () => {
    const chain = laboratory();
    await chain.advanceTo(1);
    const before = snapshotOf(chain);
    assertFails(lvmsync(await chain.words(2, { groups: [], ending: 'none' })), 14, /cut off/);
    assert.deepEqual(snapshotOf(chain), before);
    assertSucceeds(await chain.turn(2));
    chain.assertHolds(2);
  });

  test('takes a turn in which nothing had changed', async () => {
    const chain = laboratory();
    await chain.advanceTo(1);
    assertSucceeds(lvmsync(await chain.words(2, { groups: [] })));
    assert.deepEqual(chain.survey().point, pointAt(2));
    chain.assertHolds(1);
    assertSucceeds(lvmsync(['rollback', '--steps', '2', chain.destination, chain.chain]));
    chain.assertHolds(0);
  });

  test('keeps the snapback of a turn that was cut off, and the next one names it', async () => {
    const chain = laboratory();
    await chain.advanceTo(1);
    await chain.cutOff(2, 2);
    const broken = chain.survey();
    assert.deepEqual([broken.incomplete, broken.point], [true, pointAt(1)]);
    assertSucceeds(await chain.turn(2));
    chain.assertHolds(2);
    const { incomplete, point, links } = chain.survey();
    assert.deepEqual([incomplete, point], [false, pointAt(2)]);
    assert.deepEqual(
      links.map(({ name, attempt }) => [name, attempt]),
      [
        ['2026-11-23T02-00-00Z.2.snapback', false],
        ['2026-11-23T02-00-00Z.snapback', true],
        ['2026-11-23T01-00-00Z.snapback', false],
      ],
    );
  });

  for (const number of [0, 1]) {
    test(`refuses turn ${number} from a source that was written, and does not advise the same again`, async () => {
      const chain = laboratory();
      if (number > 0) await chain.advanceTo(number - 1);
      const result = lvmsync(await chain.words(number, { sourceChanged: true }));
      assertFails(result, 10, /its source was written while it was read/);
      assert.match(result.stderr, /was written completely, but may be inconsistent\.$/m);
      assert.doesNotMatch(result.stderr, /is incomplete|Run the same command again/);
      assert.match(result.stderr, /^Make the stream again from a source that is not written, /m);
      const { incomplete, point } = chain.survey();
      assert.deepEqual([incomplete, point], [true, number === 0 ? null : pointAt(number - 1)]);
      const [, command = ''] =
        /go back to the state before: lvmsync (.*)$/m.exec(result.stderr) ?? [];
      if (number === 0) assert.match(result.stderr, /, and apply that with --init\.$/m);
      else {
        assertSucceeds(lvmsync(command.split(' ')));
        chain.assertHolds(number - 1);
      }
    });
  }

  test('completes a turn whose snapback was removed when it is run again', async () => {
    const chain = laboratory();
    await chain.advanceTo(1);
    const stream = readFileSync(await chain.stream(2, { kind: 'wire' }));
    const words = ['--apply', '-', '--chain', chain.chain, chain.destination];
    const run = startLvmsync(words);
    run.child.stdin?.write(stream.subarray(0, stream.length - 100));
    const link = join(chain.chain, '2026-11-23T02-00-00Z.snapback');
    while (!existsSync(link) && run.child.exitCode === null) await sleep(10);
    rmSync(link);
    run.child.stdin?.end(stream.subarray(stream.length - 100));
    const result = await run.ended;
    assertFails(result, 16, /it was removed while it was being written/);
    assert.match(result.stderr, /^Run the same command again to complete this cycle run\.$/m);
    assertSucceeds(lvmsync(words, { input: stream }));
    assert.deepEqual(chain.survey().point, pointAt(2));
    chain.assertHolds(2);
  });

  test('says of a turn that was cut off how it is gone on with, and what command undoes it', async () => {
    const chain = laboratory();
    await chain.advanceTo(1);
    const { stderr } = await chain.cutOff(2, 2);
    assert.doesNotMatch(stderr, /--apply|snapback name/);
    assert.match(stderr, /Run the same command again to complete it/);
    const command = `lvmsync rollback --steps 0 ${chain.destination} ${chain.chain}`;
    assert.ok(stderr.endsWith(`: ${command}\n`), stderr);
    assertSucceeds(lvmsync(command.split(' ').slice(1)));
    chain.assertHolds(1);
    assertSucceeds(await chain.turn(2));
  });

  test('keeps a snapback that the record names, though nothing of it was used', async (t) => {
    const chain = laboratory();
    mkdirSync(chain.chain);
    const small = ['-t', 'tmpfs', '-o', 'size=4m,mode=700', 'none', chain.chain];
    if (runTool(['mount', ...small]).status !== 0) return t.skip('no tmpfs can be mounted here');
    try {
      assertSucceeds(await chain.turn(0));
      // There is room for the record and for the beginning of a snapback.
      const filler = join(chain.chain, 'filler');
      writeFileSync(filler, Buffer.alloc((4096 - 36) * 1024));
      assertFails(await chain.turn(1, ['--force']), 16, /snapback .*ENOSPC/);
      rmSync(filler);
      chain.assertHolds(0);
      const { gap, links, incomplete } = chain.survey();
      assert.deepEqual([gap, links.length, incomplete], [null, 1, true]);
      assertSucceeds(await chain.turn(1));
      writeFileSync(filler, Buffer.alloc(3000 * 1024));
      const back = ['rollback', '--steps', '1', chain.destination, chain.chain];
      assertFails(lvmsync(back), 16, /redo.snapback: not enough room/);
      assert.deepEqual(
        readdirSync(chain.chain).filter((name) => name.startsWith('undone')),
        [],
      );
      rmSync(filler);
      assertSucceeds(lvmsync(back));
      chain.assertHolds(0);
    } finally {
      runTool(['umount', chain.chain]);
    }
  });

  const skip = canTrace() ? false : 'strace is not permitted here';
  test('holds the new point only when link and destination are flushed', { skip }, async () => {
    const chain = laboratory();
    await chain.advanceTo(1);
    const order = await flushesOf(chain, await chain.words(2));
    assert.deepEqual(order, ['link', 'record', 'link', 'destination', 'link', 'record']);
    const back = ['rollback', '--steps', '2', chain.destination, chain.chain];
    const undone = ['record', 'link', 'record', 'link', 'destination', 'link', 'record'];
    assert.deepEqual(await flushesOf(chain, back), undone);
    const redo = ['rollback', '--redo', chain.destination, chain.chain];
    assert.deepEqual(await flushesOf(chain, redo), ['record', 'destination', 'record']);
  });

  test('whose full copy was cut off holds no point, and takes another one', async () => {
    const chain = laboratory();
    const { groups } = chain.facts(0);
    const words = await chain.words(0, { groups: groups.slice(0, 3), ending: 'none' });
    assertFails(lvmsync(words), 14, /cut off/);
    const { exists, point, incomplete } = chain.survey();
    assert.deepEqual([exists, point, incomplete], [true, null, true]);
    assertFails(await chain.turn(1), 12, /holds no restore point$/m);
    assertFails(
      lvmsync(['rollback', '--steps', '0', chain.destination, chain.chain]),
      12,
      /the full copy is not finished/,
    );
    assertSucceeds(await chain.turn(0));
    chain.assertHolds(0);
  });

  test('is begun anew under --init --force, and says what is of no use any more', async () => {
    const chain = laboratory();
    await chain.advanceTo(2);
    assertFails(await chain.turn(0), 12, /already holds a restore point/);
    chain.assertHolds(2);
    assertSucceeds(await chain.turn(0, ['--force']));
    chain.assertHolds(0);
    const { point, points, unused, gap } = chain.survey();
    assert.deepEqual([point, points.length, gap], [pointAt(0), 1, null]);
    assert.equal(unused.length, 2);
  });

  test('loses the oldest snapbacks that no --keep rule keeps, after a good turn only', async () => {
    const chain = laboratory({ turns: 6 });
    await chain.advanceTo(4);
    const keep = ['--keep', '2', '--keep', '1h'];
    assertFails(await chain.turn(4, keep), 12, /leads from/);
    assert.equal(chain.survey().links.length, 4);
    assertSucceeds(await chain.turn(5, keep));
    const { links, points, gap, unused } = chain.survey();
    assert.deepEqual(
      links.map(({ name }) => name),
      [5, 4, 3].map((hour) => `2026-11-23T0${hour}-00-00Z.snapback`),
    );
    assert.deepEqual([points.length, gap, unused], [4, null, []]);
    assert.deepEqual(readdirSync(chain.chain).sort(), [
      '2026-11-23T03-00-00Z.snapback',
      '2026-11-23T04-00-00Z.snapback',
      '2026-11-23T05-00-00Z.snapback',
      'chain.json',
    ]);
    assertSucceeds(await chain.turn(6, ['--keep', '1d']));
    assert.equal(chain.survey().links.length, 4);
    const back = ['rollback', '--steps', '4', chain.destination, chain.chain];
    assertSucceeds(lvmsync(back));
    chain.assertHolds(2);
    assertFails(lvmsync(['rollback', '--steps', '1', ...back.slice(3)]), 12, /does not go back/);
  });

  test('loses nothing for its age by a turn whose time is to come, and says so', async () => {
    const chain = laboratory();
    await chain.advanceTo(3);
    const { attributes } = chain.facts(4);
    const ahead = { attributes: { ...attributes, toTime: '2199-01-01T00:00:00Z' } };
    const result = lvmsync(['--keep', '1h', ...(await chain.words(4, ahead))]);
    assertSucceeds(result);
    const warning = /dated 2199-01-01T00:00:00Z, but the clock here shows .*no snapback is removed/;
    assert.match(result.stderr, warning);
    assert.equal(chain.survey().links.length, 4);
  });

  test('keeps what it had before a rest, however long that was', async () => {
    const chain = laboratory();
    await chain.advanceTo(0);
    const times = ['01T00', '01T01', '01T02', '28T02'].map((time) => `2024-01-${time}:00:00Z`);
    let from = pointAt(0);
    for (const [index, time] of times.entries()) {
      const to = { uuid: pointAt(index + 1).uuid, time };
      const points = { fromPoint: from.uuid, fromTime: from.time, toPoint: to.uuid, toTime: time };
      const words = await chain.words(index + 1, { attributes: points });
      assertSucceeds(lvmsync(['--keep', '1d', ...words]));
      from = to;
    }
    assert.equal(chain.survey().links.length, times.length);
  });

  test('removes what a run left that died while it removed the oldest', async () => {
    const chain = laboratory();
    await chain.advanceTo(2);
    const name = '2026-11-23T02-00-00Z.snapback';
    const content = readFileSync(join(chain.chain, name));
    assertSucceeds(await chain.turn(3, ['--keep', '1']));
    // The older one was removed, this one not yet.
    writeFileSync(join(chain.chain, name), content);
    const { unused, gap, points } = chain.survey();
    assert.deepEqual([unused, gap, points.length], [[name], null, 2]);
    assertSucceeds(await chain.turn(4, ['--keep', '9']));
    assert.ok(!existsSync(join(chain.chain, name)));
    assert.equal(chain.survey().links.length, 2);
  });

  test('is answered for over a pipe only after the point is recorded', async () => {
    const chain = laboratory();
    await chain.advanceTo(1);
    const stream = readFileSync(await chain.stream(2, { kind: 'wire' }));
    const words = ['--apply', '-', '--chain', chain.chain, chain.destination];
    const result = lvmsync(words, { input: stream });
    assertSucceeds(result);
    assert.match(result.stdout.toString(), /^\nlvmsync-ready .*\n\nlvmsync-result 1 [0-9a-f]+ ok /);
    assert.deepEqual(chain.survey().point, pointAt(2));
    const again = lvmsync(words, { input: stream });
    assertFails(again, 12, /leads from/);
    assert.match(again.stdout.toString(), /^\nlvmsync-result 1 [0-9a-f]+ failed 12 /);
  });

  test('is answered for before the oldest snapbacks are removed', { skip }, async () => {
    const chain = laboratory();
    await chain.advanceTo(2);
    const words = ['--keep', '1', ...(await chain.words(3, { kind: 'wire' }))];
    const output = `${chain.destination}.trace`;
    const calls = ['write', '?unlink', 'unlinkat'];
    const { status, stderr, trace } = await tracedLvmsync(words, { paths: [], calls, output });
    assert.equal(status, 0, stderr);
    const lines = trace.split('\n');
    const removals = lines.filter((line) => /unlink.*\.snapback"/.test(line));
    assert.equal(removals.length, 2, trace);
    const answers = lines.filter((line) => /^\d+ +write\(1</.test(line));
    assert.ok(answers.length > 0, trace);
    assert.ok(lines.lastIndexOf(answers.at(-1) ?? '') < lines.indexOf(removals[0] ?? ''), trace);
  });

  test('is changed by one run at a time', async () => {
    const chain = laboratory();
    await chain.advanceTo(1);
    const stream = readFileSync(await chain.stream(2, { kind: 'wire' }));
    const first = startLvmsync(['-v', '--apply', '-', '--chain', chain.chain, chain.destination]);
    first.child.stdin?.write(stream.subarray(0, stream.length / 2));
    const link = join(chain.chain, '2026-11-23T02-00-00Z.snapback');
    let isOver = false;
    void first.ended.then(() => {
      isOver = true;
    });
    while (!existsSync(link) && !isOver) await sleep(10);
    assert.ok(!isOver, first.said());
    const other = `${chain.destination}-2`;
    copyFileSync(chain.destination, other);
    const path = await chain.stream(2);
    // Another destination: it is the lock of the chain that stands against it.
    assertFails(
      lvmsync(['--force', '--apply', path, '--chain', chain.chain, other]),
      19,
      /chain: another lvmsync is at work on it/,
    );
    const back = ['rollback', '--force', '--steps', '1', other, chain.chain];
    const locked = lvmsync(back);
    assertFails(locked, 19, /another lvmsync is at work on it/);
    assert.match(locked.stderr, /\nNothing was written\.\nWait until that run has ended\.\n$/);
    first.child.stdin?.end(stream.subarray(stream.length / 2));
    assertSucceeds(await first.ended);
    chain.assertHolds(2);
  });
});

describe('before a turn writes anything', () => {
  const refusals: readonly [
    what: string,
    words: (chain: ChainLaboratory) => Promise<string[]>,
    status: number,
    message: RegExp,
  ][] = [
    ['a turn that was taken already', (chain) => chain.words(2), 12, /leads from .*point-1/],
    ['a turn from a point to come', (chain) => chain.words(4), 12, /leads from .*point-3/],
    [
      'a full copy without --init',
      async (chain) => (await chain.words(0)).filter((word) => word !== '--init'),
      12,
      /the stream is a full copy/,
    ],
    ['a second --init', (chain) => chain.words(0), 12, /already holds a restore point/],
    [
      'changes under --init',
      async (chain) => ['--init', ...(await chain.words(3))],
      12,
      /holds only changes/,
    ],
    [
      'a stream that names no points',
      (chain) => chain.words(3, { attributes: {} }),
      12,
      /does not record which restore point it leads to/,
    ],
    [
      'a classic stream',
      async (chain) => {
        const words = await chain.words(3);
        writeFileSync(words[1] ?? '', classicStream([{ offset: 0, data: Buffer.alloc(4096) }]));
        return words;
      },
      12,
      /classic form/,
    ],
    [
      'a classic stream that is empty',
      async (chain) => {
        const words = await chain.words(3);
        writeFileSync(words[1] ?? '', classicStream([]));
        return words;
      },
      12,
      /classic form/,
    ],
    [
      'a snapback',
      async (chain) => chain.words(3, { kind: 'snapback' }),
      12,
      /a snapback cannot be applied as a cycle run/,
    ],
    [
      'another destination',
      async (chain) => {
        const other = `${chain.destination}-2`;
        copyFileSync(chain.destination, other);
        return [...(await chain.words(3)).slice(0, -1), other];
      },
      12,
      /the chain belongs to .*destination, not to .*destination-2/,
    ],
    [
      'a destination of another size',
      async (chain) => {
        appendFileSync(chain.destination, Buffer.alloc(4096));
        return chain.words(3);
      },
      12,
      /size is .*\(1052672 bytes\), but the chain recorded .*\(1048576 bytes\)/,
    ],
    [
      'a directory that others may write to',
      async (chain) => {
        chmodSync(chain.chain, 0o770);
        return chain.words(3);
      },
      16,
      /can be written by others/,
    ],
    [
      'another turn than the one that was begun',
      async (chain) => {
        await chain.cutOff(3, 1);
        const { attributes } = chain.facts(3);
        const toPoint = 'another';
        return chain.words(3, { attributes: { ...attributes, toPoint } });
      },
      12,
      /a cycle run to .*point-3.* is not finished/,
    ],
    [
      'a damaged record',
      async (chain) => {
        writeFileSync(join(chain.chain, 'chain.json'), '{}');
        return chain.words(3);
      },
      15,
      /not the record of a chain/,
    ],
    [
      'a file in the place of the directory',
      async (chain) =>
        (await chain.words(3)).map((word) => (word === chain.chain ? `${word}/chain.json` : word)),
      16,
      /not a directory|ENOTDIR/,
    ],
  ];
  for (const [what, words, status, message] of refusals) {
    test(`${what} is refused with status ${status}`, async () => {
      const chain = laboratory();
      await chain.advanceTo(2);
      const argv = await words(chain);
      const before = snapshotOf(chain);
      assertFails(lvmsync(argv), status, message);
      assert.deepEqual(snapshotOf(chain), before);
    });
  }

  test('and what undoes a turn that was begun is named as a command that can be copied', async () => {
    const chain = laboratory();
    await chain.advanceTo(2);
    await chain.cutOff(3, 1);
    const { attributes } = chain.facts(3);
    const words = await chain.words(3, { attributes: { ...attributes, toPoint: 'another' } });
    const command = `lvmsync rollback --steps 0 ${chain.destination} ${chain.chain}`;
    assert.ok(
      lvmsync(words)
        .stderr.split('\n')
        .some((line) => line.endsWith(`: ${command}`)),
    );
    assertSucceeds(lvmsync(command.split(' ').slice(1)));
    assertSucceeds(lvmsync(words));
  });

  const usage: readonly [string[], RegExp][] = [
    [['--init'], /--init needs --chain/],
    [['--keep', '3'], /--keep needs --chain/],
    [['--chain', 'x', '--keep', 'often'], /--keep: expected a whole number of restore points/],
    [['--chain', 'x', '--keep', '3', '--keep', ''], /--keep: expected/],
    [['--chain', 'x', '--snapback', 'y'], /--snapback cannot be used with --chain/],
    [['--chain', 'x', '--allow-smaller'], /--allow-smaller cannot be used with --chain/],
  ];
  for (const [words, message] of usage) {
    test(`"${words.join(' ')}" is wrong usage`, () => {
      assertFails(lvmsync(['--apply', 'stream', ...words, 'destination']), 1, message);
    });
  }
});

/** What a run flushes, in order; several flushes of one kind in a row are one. */
async function flushesOf(
  { destination }: ChainLaboratory,
  words: readonly string[],
): Promise<string[]> {
  const output = `${destination}.trace`;
  const tracing = { paths: [], calls: ['fsync', 'fdatasync'], output };
  const { status, stderr, trace } = await tracedLvmsync(words, tracing);
  assert.equal(status, 0, stderr);
  const kinds = trace.split('\n').flatMap((line) => {
    const [, path = ''] = /^\d+ +f\w+\(\d+<([^>]*)>/.exec(line) ?? [];
    if (path.endsWith('.snapback')) return 'link';
    if (path.endsWith('chain.json.draft')) return 'record';
    return path === destination ? 'destination' : [];
  });
  return kinds.filter((kind, index) => kind !== kinds[index - 1]);
}

/** The destination, and every file of the chain. */
function snapshotOf({ chain, destination }: ChainLaboratory): readonly unknown[] {
  const files = readdirSync(chain).sort();
  const contents = files.map((name) => readFileSync(join(chain, name)).toString('latin1'));
  return [readFileSync(destination).toString('latin1'), files, contents];
}
