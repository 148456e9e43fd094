/** Cycle runs with `--streams N`: several receivers take one turn of a chain together. */

import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readRecord } from '../../src/chain/record.js';
import { ExtentList } from '../../src/device/extent.js';
import { ChainLaboratory, type ChainSpec, pointAt } from '../helpers/chain/chain-laboratory.js';
import { sendCompared, sendTurn, type TurnResult } from '../helpers/chain/compared-turn.js';
import { entriesOf } from '../helpers/chain/registry-entries.js';
import { campaignSize } from '../helpers/faults/campaign.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  type CliResult,
  canTrace,
  lvmsync,
  runTool,
} from '../helpers/program/cli.js';
import { oldProgram } from '../helpers/program/old-program.js';
import { Random } from '../helpers/random.js';
import { fakeRsh, loginShell, writeLvmsync } from '../helpers/remote/fake-rsh.js';
import { scratchFolder } from '../helpers/scratch.js';
import { dataRecordsOf } from '../helpers/streams/stream-parts.js';

const KiB = 1024;
const CHUNK = 64 * KiB;
const folder = scratchFolder();
const random = new Random();
mkdirSync(join(folder, 'bin'));
writeLvmsync(join(folder, 'bin'));
/** 9 MiB of changes in each turn: enough for eight streams. */
const SPEC: ChainSpec = { size: 256 * CHUNK, chunkSize: CHUNK, turns: 3, changedChunks: 144 };
let count = 0;

async function laboratory(point: number): Promise<ChainLaboratory> {
  const chain = new ChainLaboratory(join(folder, `${count++}`), SPEC, random);
  if (point < 0) chain.reset();
  else await chain.advanceTo(point);
  return chain;
}

/** In the body `$n` tells the connections of a run apart, counted from 1. */
function rsh(body = ''): string {
  const notes = join(folder, `call-${count++}-`);
  const number = `n=1; while ! mkdir "${notes}$n" 2>/dev/null; do n=$((n + 1)); done`;
  return fakeRsh(folder, `${number}\n${body}\n${loginShell()}`).command;
}

/** The turn to that point. */
function take(
  chain: ChainLaboratory,
  to: number,
  { streams, by, more = [] }: { streams: number; by?: string; more?: readonly string[] },
): Promise<TurnResult> {
  const offsets = chain.facts(to).groups.flatMap((group) => group.map(({ offset }) => offset));
  const extents = new ExtentList(Float64Array.from(offsets.flatMap((at) => [at, CHUNK])));
  const content = chain.states[to];
  assert.ok(content);
  const from = to === 0 ? undefined : pointAt(to - 1);
  const init = to === 0 ? ['--init'] : [];
  // Groups of a MiB: what cuts a stream is to do so between two.
  const small = by === undefined ? [] : ['--bwlimit', '8M'];
  const options = ['--streams', `${streams}`, '--timeout', '20', ...small, ...init, ...more];
  return sendTurn(chain, { from, to: pointAt(to), content, rsh: by ?? rsh(), options, extents });
}

async function takes(...turn: Parameters<typeof take>): Promise<string> {
  const { status, said } = await take(...turn);
  assert.equal(status, 0, said);
  turn[0].assertHolds(turn[1]);
  return said;
}

async function fails(...turn: Parameters<typeof take>): Promise<TurnResult> {
  const result = await take(...turn);
  assert.notEqual(result.status, 0, result.said);
  await becomesFree(turn[0]);
  return result;
}

/** Receivers may outlive their sender for a moment. */
async function becomesFree({ destination }: ChainLaboratory): Promise<void> {
  while (receiversOf(destination).length > 0) await new Promise((tick) => setTimeout(tick, 20));
}

function receiversOf(path: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const argv = tryRead(`/proc/${pid}/cmdline`).split('\0');
      return argv.includes('--apply') && argv.includes(path) && argv.includes(CLI);
    })
    .map(Number);
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function rollback({ destination, chain }: ChainLaboratory, ...words: string[]): CliResult {
  return lvmsync(['rollback', ...words, destination, chain]);
}

/** All points down to the first, and forward again. */
function goesThrough(chain: ChainLaboratory, from: number): void {
  for (let point = from - 1; point >= 0; point--) {
    assertSucceeds(rollback(chain, '--steps', '1'));
    chain.assertHolds(point, 'step by step');
  }
  for (let point = 1; point <= from; point++) {
    assertSucceeds(rollback(chain, '--redo'));
    chain.assertHolds(point, 'forward again');
  }
}

function links({ chain }: ChainLaboratory, folderOf = chain): string[] {
  return readdirSync(folderOf).filter((name) => name.endsWith('.snapback'));
}

function stemOf(point: number): string {
  return pointAt(point).time.replaceAll(':', '-');
}

function bytesSaved({ chain }: ChainLaboratory, point: number): number {
  const names = readdirSync(chain).filter((name) => name.startsWith(stemOf(point)));
  const records = names.flatMap((name) => dataRecordsOf(readFileSync(join(chain, name))));
  return records.reduce((sum, { data }) => sum + data.length, 0);
}

describe('a turn of several streams', () => {
  for (const streams of [2, 3, 8]) {
    test(`${streams} of them lead to the point, and back, byte for byte`, async () => {
      const chain = await laboratory(0);
      await takes(chain, 1, { streams });
      await takes(chain, 2, { streams });
      await takes(chain, 3, { streams: 1 });
      const { points, gap, unused, incomplete, links: listed } = chain.survey();
      assert.deepEqual([gap, unused, incomplete], [null, [], false]);
      assert.deepEqual(
        points.map(({ uuid }) => uuid),
        [3, 2, 1, 0].map((point) => pointAt(point).uuid),
      );
      assert.equal(listed.length, 2 * streams + 1);
      assert.ok(listed.every(({ attempt }) => !attempt));
      const parts = Array.from({ length: streams }, (_, i) => `.${i + 1}-of-${streams}.snapback`);
      assert.deepEqual(
        listed.map(({ name }) => name).sort(),
        [...[1, 2].flatMap((point) => parts.map((part) => stemOf(point) + part))]
          .concat(`${stemOf(3)}.snapback`)
          .sort(),
      );
      assert.equal(bytesSaved(chain, 2), SPEC.changedChunks * CHUNK, 'each place once');
      assertSucceeds(rollback(chain, '--steps', '3'));
      chain.assertHolds(0);
      assertSucceeds(rollback(chain, '--redo'));
      chain.assertHolds(3);
      goesThrough(chain, 3);
    });
  }

  test('begins a chain', async () => {
    const chain = await laboratory(-1);
    await takes(chain, 0, { streams: 4 });
    assert.deepEqual(links(chain), []);
    await takes(chain, 1, { streams: 4 });
    goesThrough(chain, 1);
  });

  test('begins a chain at a second try', async () => {
    const chain = await laboratory(-1);
    const cut = 'dd bs=64k count=32 2> /dev/null | sh -c "$line"; exit 9';
    await fails(chain, 0, { streams: 3, by: rsh(`if [ $n = 2 ]; then ${cut}; fi`) });
    assert.equal(readRecord(chain.chain)?.point, null);
    await takes(chain, 0, { streams: 2 });
    await takes(chain, 1, { streams: 2 });
    goesThrough(chain, 1);
  });

  test('warns once', async () => {
    const chain = await laboratory(1);
    for (const path of entriesOf(chain.destination)) rmSync(path);
    const said = await takes(chain, 2, { streams: 4 });
    assert.equal(said.match(/it has no entry in the registry/g)?.length, 1, said);
  });

  test('makes a file as long as the source, and goes back to the former length', async () => {
    const other = await laboratory(-1);
    const short = random.bytes(100 * CHUNK);
    writeFileSync(other.destination, short);
    const extents = new ExtentList(Float64Array.of(0, short.length));
    const begin = { content: short, rsh: rsh(), options: ['--init'], extents };
    const begun = await sendTurn(other, { from: undefined, to: pointAt(0), ...begin });
    assert.equal(begun.status, 0, begun.said);
    const content = random.bytes(SPEC.size);
    const all = new ExtentList(Float64Array.of(0, content.length));
    const options = ['--streams', '3'];
    const turn = { from: pointAt(0), to: pointAt(1), content, rsh: rsh(), options, extents: all };
    const { status, said } = await sendTurn(other, turn);
    assert.equal(status, 0, said);
    assert.ok(readFileSync(other.destination).equals(content));
    assertSucceeds(rollback(other, '--steps', '1'));
    assert.ok(readFileSync(other.destination).equals(short));
  });

  test('has the snapbacks of old turns removed by --keep, all parts of each', async () => {
    const chain = await laboratory(0);
    await takes(chain, 1, { streams: 3 });
    await takes(chain, 2, { streams: 2, more: ['--keep', '2'] });
    assert.equal(links(chain).length, 5);
    const said = await takes(chain, 3, { streams: 3, more: ['--keep', '1', '-v'] });
    assert.equal(links(chain).length, 3);
    assert.match(said, /removed 5 old snapbacks/);
    assertSucceeds(rollback(chain, '--steps', '1'));
    chain.assertHolds(2);
    assertFails(rollback(chain, '--steps', '1'), 12, /only 0 steps/);
  });

  test('compares in a single stream', async () => {
    const chain = await laboratory(1);
    const notes = `${folder}/compared-`;
    const by = rsh(`touch "${notes}$n"`);
    const content = chain.states[2];
    assert.ok(content);
    const options = ['--streams', '3'];
    const { status, said } = await sendCompared(chain, {
      ...{ from: pointAt(1), to: pointAt(2), content, rsh: by, options },
    });
    assert.equal(status, 0, said);
    chain.assertHolds(2);
    assert.ok(existsSync(`${notes}1`) && !existsSync(`${notes}2`));
  });

  test('is kept off, and keeps others off, while it is under way', async () => {
    const chain = await laboratory(1);
    const gate = `${folder}/gate-${count++}`;
    const wait = `while [ ! -e ${gate} ]; do sleep 0.05; done`;
    const by = rsh(`(dd bs=64k count=32 2> /dev/null; ${wait}; cat) | sh -c "$line"; exit $?`);
    const run = take(chain, 2, { streams: 3, by });
    while (readRecord(chain.chain)?.doing === null)
      await new Promise((tick) => setTimeout(tick, 20));
    assertFails(rollback(chain, '--steps', '1'), 19, /at work on it/);
    assert.equal((await take(chain, 2, { streams: 2 })).status, 19);
    const survey = chain.survey();
    assert.equal(survey.incomplete, true);
    assert.equal(survey.gap, null);
    writeFileSync(gate, '');
    const { status, said } = await run;
    assert.equal(status, 0, said);
    chain.assertHolds(2);
    goesThrough(chain, 2);
  });

  test('is refused as a whole where something else wrote to the copy', async () => {
    const chain = await laboratory(0);
    await takes(chain, 1, { streams: 3 });
    const descriptor = openSync(chain.destination, 'r+');
    writeSync(descriptor, 'foreign', 4096);
    closeSync(descriptor);
    const before = readFileSync(chain.destination);
    const { status, said } = await fails(chain, 2, { streams: 3 });
    assert.equal(status, 12, said);
    assert.match(said, /something else wrote to it/);
    assert.ok(readFileSync(chain.destination).equals(before));
    assert.equal(links(chain).length, 3, 'no link stays of it');
    assertFails(rollback(chain, '--steps', '1'), 12, /something else wrote to it/);
  });

  test('names pages that each of its streams wrote, by which a restored image is noticed', async () => {
    const chain = await laboratory(1);
    await takes(chain, 2, { streams: 4 });
    const spots = readRecord(chain.chain)?.left?.spots?.map(({ offset }) => offset) ?? [];
    const quarters = new Set(spots.map((offset) => Math.floor((4 * offset) / SPEC.size)));
    assert.deepEqual([...quarters].sort(), [0, 1, 2, 3], `${spots}`);
  });
});

describe('links of one turn', () => {
  test('are applied by hand in the order of the chain', async () => {
    const chain = await laboratory(1);
    await takes(chain, 2, { streams: 3 });
    const names = chain
      .survey()
      .links.slice(0, 3)
      .map(({ name }) => join(chain.chain, name));
    const [newest = '', ...others] = names;
    assertFails(
      lvmsync(['--apply', others[1] ?? '', chain.destination]),
      12,
      /the next snapback of its chain to be undone is/,
    );
    for (const path of [newest, ...others]) {
      assertSucceeds(lvmsync(['--apply', path, chain.destination]));
    }
    chain.assertHolds(1);
  });

  for (const which of [0, 1, 2]) {
    test(`are all needed: number ${which} from the newest is damaged, or missing`, async () => {
      const chain = await laboratory(1);
      await takes(chain, 2, { streams: 3 });
      const path = join(chain.chain, chain.survey().links[which]?.name ?? '');
      renameSync(path, `${path}.away`);
      const { gap, points } = chain.survey();
      assert.match(gap ?? '', /is missing/);
      assert.equal(points.length, 1);
      assertFails(rollback(chain, '--steps', '1'), 15, /is missing/);
      renameSync(`${path}.away`, path);
      truncateSync(path, statSync(path).size - 1000);
      const result = rollback(chain, '--steps', '1');
      assert.ok([14, 15].includes(result.status ?? 0), result.stderr);
      assert.match(result.stderr, /Nothing was written/);
      chain.assertHolds(2);
    });
  }
});

const misbehaviour: readonly [what: string, body: string][] = [
  ['cannot connect', 'exit 255'],
  ['dies in the middle', 'dd bs=64k count=32 2> /dev/null | sh -c "$line"; kill -9 $$'],
  ['ends in the middle', 'dd bs=64k count=32 2> /dev/null | sh -c "$line"; exit 9'],
  ['fails after its last byte', 'sh -c "$line" | grep --line-buffered -v result; exit 1'],
];

describe('a turn of which one stream fails', () => {
  for (const [what, body] of misbehaviour) {
    test(`because it ${what} is made again, or undone`, async () => {
      for (const undone of [false, true]) {
        const chain = await laboratory(1);
        const by = rsh(`if [ $n = ${1 + random.below(3)} ]; then ${body}; fi`);
        await fails(chain, 2, { streams: 3, by });
        const record = readRecord(chain.chain);
        // Where all had ended, or none had begun, it is at a point.
        if (record?.doing === null) chain.assertHolds(record.point?.uuid === 'point-2' ? 2 : 1);
        if (undone && record?.point?.uuid === 'point-1') {
          assertSucceeds(rollback(chain, '--steps', '0'));
          chain.assertHolds(1);
        }
        if (record?.point?.uuid === 'point-1') {
          await takes(chain, 2, { streams: 1 + random.below(4) });
        }
        goesThrough(chain, 2);
      }
    });
  }

  test('notes how it leaves the copy, so that a later write is noticed', async () => {
    const chain = await laboratory(1);
    const cut = 'dd bs=64k count=32 2> /dev/null | sh -c "$line"; exit 9';
    await fails(chain, 2, { streams: 3, by: rsh(cut) });
    const record = readRecord(chain.chain);
    assert.equal(record?.doing?.what, 'turn');
    assert.equal(record?.attempt?.run, record?.writer?.run);
    const { said } = await fails(chain, 2, { streams: 3, by: rsh(cut) });
    assert.doesNotMatch(said, /was killed/);
    const descriptor = openSync(chain.destination, 'r+');
    writeSync(descriptor, 'foreign', 4096);
    closeSync(descriptor);
    assert.equal((await fails(chain, 2, { streams: 3 })).status, 12);
    assertFails(rollback(chain, '--steps', '0'), 12, /something else wrote to it/);
  });

  for (const [first, second] of [
    [3, 3],
    [3, 1],
    [1, 3],
    [2, 5],
  ] as const) {
    test(`with ${first} streams is made again with ${second}, and undone exactly`, async () => {
      const chain = await laboratory(1);
      const cut = 'dd bs=64k count=32 2> /dev/null | sh -c "$line"; exit 9';
      await fails(chain, 2, { streams: first, by: rsh(cut) });
      await fails(chain, 2, { streams: first, by: rsh(cut) });
      const before = bytesSaved(chain, 2);
      assert.ok(before > 0);
      await takes(chain, 2, { streams: second });
      const total = SPEC.changedChunks * CHUNK;
      const saved = bytesSaved(chain, 2);
      if (first === 1 || first === second) assert.equal(saved, total, 'each place once');
      else assert.ok(saved >= total && saved <= total + before, `${saved}`);
      const { links: listed, gap } = chain.survey();
      assert.equal(gap, null);
      assert.equal(listed.filter(({ attempt }) => !attempt).length, second + 1);
      assertSucceeds(rollback(chain, '--steps', '1'));
      chain.assertHolds(1);
      assertSucceeds(rollback(chain, '--redo'));
      goesThrough(chain, 2);
    });
  }

  test('at any call of any receiver is made again, or undone exactly', {
    skip: canTrace() ? false : 'strace is not permitted here',
  }, async (t) => {
    const calls = ['rename', 'fsync', 'fdatasync', 'writev', 'pwrite64', 'ftruncate', 'unlink'];
    const rounds = campaignSize({ commit: 8, release: 60 });
    let killed = 0;
    for (let round = 0; round < rounds; round++) {
      const chain = await laboratory(1);
      const call = calls[random.below(4)] ?? 'rename';
      const inject = `${call}:signal=KILL:when=${1 + random.below(8)}`;
      const trace = `strace -f -qq -o /dev/null -e trace=${call} -e inject=${inject}`;
      const victims = random.below(3) === 0 ? '1|2|3' : `${1 + random.below(3)}`;
      const by = rsh(`case $n in ${victims}) exec ${trace} sh -c "$line";; esac`);
      const first = await take(chain, 2, { streams: 3, by });
      await becomesFree(chain);
      const when = `${inject} in ${victims}`;
      if (first.status !== 0) killed++;
      let record = readRecord(chain.chain);
      if (first.status === 0) assert.equal(record?.point?.uuid, 'point-2', when);
      if (record?.doing === null) chain.assertHolds(record.point?.uuid === 'point-2' ? 2 : 1, when);
      if (record?.point?.uuid === 'point-1' && random.below(2) === 0) {
        assertSucceeds(rollback(chain, '--steps', '0'));
        chain.assertHolds(1, when);
      }
      record = readRecord(chain.chain);
      if (record?.point?.uuid === 'point-1') {
        await takes(chain, 2, { streams: 1 + random.below(4) });
      }
      assert.equal(chain.survey().gap, null, when);
      assertSucceeds(rollback(chain, '--steps', '1'));
      chain.assertHolds(1, when);
      assertSucceeds(rollback(chain, '--redo'));
      chain.assertHolds(2, when);
    }
    t.diagnostic(`${killed} of ${rounds} were killed`);
    assert.ok(killed > 0);
  });
});

const { program: old, skip } = oldProgram();

describe('an older program', { skip }, () => {
  const runOld = (...words: readonly string[]): CliResult =>
    runTool([process.execPath, old.path, ...words]);
  const back = ({ destination, chain }: ChainLaboratory, steps: number): CliResult =>
    runOld('rollback', '--steps', `${steps}`, destination, chain);

  test('reports a gap, and does not go back with a part of a turn', async () => {
    const chain = await laboratory(1);
    await takes(chain, 2, { streams: 3 });
    assertFails(back(chain, 1), 15, /is not there/);
    chain.assertHolds(2);
    assertSucceeds(runOld(...(await chain.words(3))));
    chain.assertHolds(3);
    assertSucceeds(rollback(chain, '--steps', '2'));
    chain.assertHolds(1);
  });

  test('takes an attempt of several streams to its end, and all of it can be undone', async () => {
    const chain = await laboratory(1);
    const cut = 'dd bs=64k count=32 2> /dev/null | sh -c "$line"; exit 9';
    await fails(chain, 2, { streams: 3, by: rsh(cut) });
    assertFails(back(chain, 0), 15, /is not there/);
    assertSucceeds(runOld(...(await chain.words(2))));
    chain.assertHolds(2);
    goesThrough(chain, 2);
  });
});
