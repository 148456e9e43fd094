// Turns whose changes are found by comparing hashes of both ends, on the connection of the stream.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { ChainLaboratory, type ChainSpec, pointAt } from '../helpers/chain/chain-laboratory.js';
import {
  type ComparedTurn,
  sendCompared,
  type TurnResult,
} from '../helpers/chain/compared-turn.js';
import { assertFails, assertSucceeds, CLI, lvmsync } from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { fakeRsh, loginShell, writeLvmsync } from '../helpers/remote/fake-rsh.js';
import { scratchFolder } from '../helpers/scratch.js';
import { framedStream } from '../helpers/streams/stream-parts.js';

const KiB = 1024;
const BLOCK = 64 * KiB;
const folder = scratchFolder();
const random = new Random();
mkdirSync(join(folder, 'bin'));
writeLvmsync(join(folder, 'bin'));
/** Its last block is not whole. */
const SPEC: ChainSpec = { size: 2048 * KiB + 4096, chunkSize: 4096, turns: 4, changedChunks: 12 };
/** More than one group. */
const LARGE: ChainSpec = { ...SPEC, size: 6144 * KiB };
let count = 0;

async function laboratory(point: number, spec = SPEC): Promise<ChainLaboratory> {
  const chain = new ChainLaboratory(join(folder, `${count++}`), spec, random);
  await chain.advanceTo(point);
  return chain;
}

type Turn = Partial<Omit<ComparedTurn, 'from' | 'to'>> & { readonly body?: string };

/** From a point, undefined for none, to another. */
function compare(
  chain: ChainLaboratory,
  [from, to]: readonly [number | undefined, number],
  { body = loginShell(), content = chain.states[to], ...turn }: Turn = {},
): Promise<TurnResult> {
  assert.ok(content);
  const points = { from: from === undefined ? undefined : pointAt(from), to: pointAt(to) };
  return sendCompared(chain, {
    ...{ ...points, content, rsh: fakeRsh(folder, body).command },
    ...turn,
  });
}

async function compares(...turn: Parameters<typeof compare>): Promise<string> {
  const { status, said } = await compare(...turn);
  assert.equal(status, 0, said);
  return said;
}

/** As something that is not of the chain does. Returns where. */
function writeForeign({ destination }: ChainLaboratory, pages = 9): number[] {
  const places = random
    .distinct(pages, Math.floor(statSync(destination).size / 4096))
    .map((page) => page * 4096);
  const descriptor = openSync(destination, 'r+');
  for (const place of places) writeSync(descriptor, random.bytes(4096), 0, 4096, place);
  closeSync(descriptor);
  return places;
}

function rollback({ destination, chain }: ChainLaboratory, steps: number, ...more: string[]) {
  return lvmsync(['rollback', '--steps', `${steps}`, ...more, destination, chain]);
}

/** All points down to the first one, exactly. */
function goesBack(chain: ChainLaboratory, points: readonly number[]): void {
  for (const point of points) {
    assertSucceeds(rollback(chain, 1));
    chain.assertHolds(point);
  }
}

function exactness(chain: ChainLaboratory): readonly string[] {
  return chain.survey().points.map(({ exact }) => exact);
}

function record({ chain }: ChainLaboratory) {
  return JSON.parse(readFileSync(join(chain, 'chain.json'), 'utf8'));
}

describe('a turn by comparison', () => {
  test('leads from point to point, and keeps all before it', async () => {
    const chain = await laboratory(1);
    const said = await compares(chain, [1, 2]);
    assert.match(said, /Compared 2\.0 MiB: .* differ/);
    chain.assertHolds(2);
    assertSucceeds(await chain.turn(3));
    assert.deepEqual(exactness(chain), ['yes', 'yes', 'unknown', 'unknown']);
    const { stdout } = lvmsync(['chain', chain.chain]);
    assert.match(`${stdout}`, /1 {2}2026.*\n.* 2\? 2026.*\n.* 3\? 2026/);
    assert.match(
      `${stdout}`,
      /\? {2}exact only if nothing else wrote to the copy before .*02:00:00Z/,
    );
    const { copies } = JSON.parse(`${lvmsync(['status', '--json']).stdout}`);
    const own = copies.find((copy: { chain: string }) => copy.chain === chain.chain);
    assert.deepEqual([own.points, own.inDoubt], [4, 2]);
    goesBack(chain, [2, 1, 0]);
  });

  test('is marked where something else was seen to have written', async () => {
    const chain = await laboratory(1);
    writeForeign(chain);
    const foreign = readFileSync(chain.destination);
    await compares(chain, [1, 2]);
    chain.assertHolds(2);
    assert.deepEqual(exactness(chain), ['yes', 'no', 'no']);
    const dry = rollback(chain, 1, '--dry-run');
    assert.match(dry.stderr, /^WARNING: .*not exact: something else wrote to the copy before/m);
    assertSucceeds(rollback(chain, 1));
    assert.ok(readFileSync(chain.destination).equals(foreign), 'what the turn overwrote');
    assert.deepEqual(exactness(chain), ['no', 'no'], 'that is not forgotten');
    assertFails(await chain.turn(2), 12, /rolled back to a restore point that is not exact/);
    assertSucceeds(lvmsync(['rollback', '--redo', chain.destination, chain.chain]));
    chain.assertHolds(2);
    assert.deepEqual(exactness(chain), ['yes', 'no', 'no']);
  });

  test('keeps the doubt about a point that a rollback led to', async () => {
    const chain = await laboratory(1);
    await compares(chain, [1, 2]);
    assertSucceeds(rollback(chain, 1));
    assert.deepEqual(exactness(chain), ['unknown', 'unknown']);
    assertSucceeds(await chain.turn(2));
    assert.deepEqual(exactness(chain), ['unknown', 'unknown', 'unknown']);
    await compares(chain, [2, 2]);
    assert.deepEqual(exactness(chain), ['yes', 'unknown', 'unknown']);
  });

  test('is refused then where only the list of changes is said to be lost', async () => {
    const chain = await laboratory(1);
    writeForeign(chain);
    const { status, said } = await compare(chain, [1, 2], { compare: 'lost' });
    assert.equal(status, 12, said);
    assert.match(said, /something else wrote to it/);
    const other = await laboratory(1);
    await compares(other, [1, 2], { compare: 'lost' });
    other.assertHolds(2);
  });

  test('sends whole blocks that differ, and nothing else', async () => {
    const chain = await laboratory(1);
    const said = await compares(chain, [1, 2], {
      content: withByteAt(chain.states[1], 3 * BLOCK + 7),
    });
    assert.match(said, /: 64\.0 KiB differ/);
    const same = await compares(chain, [2, 3], {
      content: withByteAt(chain.states[1], 3 * BLOCK + 7),
    });
    assert.match(same, /: 0 B differ/);
    assert.equal(record(chain).point.uuid, pointAt(3).uuid);
    const end = await compares(chain, [3, 4], {
      content: withByteAt(chain.states[1], SPEC.size - 1),
    });
    assert.match(end, /: 68\.0 KiB differ/);
  });

  for (const compression of ['lz4', 'auto', 'none']) {
    test(`may be compressed: ${compression}`, async () => {
      const chain = await laboratory(0);
      const content = Buffer.alloc(SPEC.size, 'compressible ');
      await compares(chain, [0, 1], { content, options: [`--compress=${compression}`] });
      assert.ok(readFileSync(chain.destination).equals(content));
      goesBack(chain, [0]);
    });
  }

  test('gives a file the size of the source', async () => {
    const chain = await laboratory(0);
    truncateSync(chain.destination, 5 * BLOCK + 100);
    await compares(chain, [0, 1], { options: ['--force'] });
    chain.assertHolds(1);
  });

  test('begins a chain on a copy that exists', async () => {
    const chain = await laboratory(0);
    const fresh = { ...chain, chain: `${chain.chain}-new`, destination: chain.destination };
    const { status, said } = await sendCompared(fresh, {
      ...{ from: undefined, to: pointAt(1), content: chain.states[1] ?? Buffer.alloc(0) },
      ...{ rsh: fakeRsh(folder, loginShell()).command, options: ['--init', '--force'] },
    });
    assert.equal(status, 0, said);
    chain.assertHolds(1);
  });

  test('goes on from an attempt that led to another point', async () => {
    const chain = await laboratory(1);
    await chain.cutOff(2, 2);
    await compares(chain, [1, 3]);
    chain.assertHolds(3);
    assertSucceeds(await chain.turn(4));
    goesBack(chain, [3, 1, 0]);
  });

  test('is refused where it does not lead from the point of the copy', async () => {
    const chain = await laboratory(1);
    const { status, said } = await compare(chain, [2, 3]);
    assert.equal(status, 12, said);
    assert.match(said, /leads from .*point-2\), but the destination holds .*point-1/);
    chain.assertHolds(1);
  });
});

function withByteAt(content: Buffer | undefined, at: number): Buffer {
  const changed = Buffer.from(content ?? assert.fail());
  changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
  return changed;
}

describe('a copy that is made equal to its point again', () => {
  test('holds it, and what was there is kept aside', async () => {
    const chain = await laboratory(2);
    writeForeign(chain);
    const foreign = readFileSync(chain.destination);
    assertFails(await chain.turn(3), 12, /something else wrote to it/);
    await compares(chain, [2, 2]);
    chain.assertHolds(2);
    assert.equal(chain.survey().mismatch, null);
    const [aside = assert.fail()] = asides(chain);
    assertSucceeds(lvmsync(['--force', '--apply', join(chain.chain, aside), chain.destination]));
    assert.ok(readFileSync(chain.destination).equals(foreign));
    await compares(chain, [2, 2]);
    assertSucceeds(await chain.turn(3));
    assert.deepEqual(exactness(chain), ['yes', 'yes', 'yes', 'yes']);
    goesBack(chain, [2, 1, 0]);
  });

  test('does without the attempts that were there', async () => {
    const chain = await laboratory(1);
    await chain.cutOff(2, 2);
    writeForeign(chain);
    await compares(chain, [1, 1]);
    chain.assertHolds(1);
    assert.equal(record(chain).doing, null);
    assert.equal(chain.survey().unused.length, 1);
    assertSucceeds(await chain.turn(2));
    goesBack(chain, [1, 0]);
  });

  test('is nobody else’s to write until that is finished', async () => {
    const chain = await laboratory(1, LARGE);
    writeForeign(chain, 500);
    const { status, said } = await compare(chain, [1, 1], { body: cutAt(3000 * KiB) });
    assert.notEqual(status, 0, said);
    assert.equal(record(chain).doing.what, 'mend');
    assertFails(await chain.turn(2), 12, /--compare/);
    assertFails(rollback(chain, 1), 12, /--compare/);
    await compares(chain, [1, 1]);
    chain.assertHolds(1);
    goesBack(chain, [0]);
  });
});

function asides({ chain }: ChainLaboratory): string[] {
  return readdirSync(chain).filter((name) => name.startsWith('overwritten-'));
}

/** A receiver whose input ends after so many bytes, each of which it gets at once. */
function cutAt(bytes: number): string {
  const relay = `const { spawn } = require('node:child_process');
    const receiver = spawn('sh', ['-c', process.argv[1]], { stdio: ['pipe', 'inherit', 'inherit'] });
    let left = ${bytes};
    receiver.stdin.on('error', () => {});
    receiver.on('exit', (status) => process.exit(status ?? 1));
    process.stdin.on('data', (data) => {
      if (left > 0) receiver.stdin.write(data.subarray(0, left));
      left -= data.length;
      if (left <= 0) receiver.stdin.end();
    });
    process.stdin.on('end', () => receiver.stdin.end());`;
  return `exec '${process.execPath}' -e "${relay.replaceAll('"', '\\"')}" "$line"`;
}

describe('a comparison of a copy that is not plain', () => {
  test('needs no whole blocks in the limit of the rate', async () => {
    const chain = await laboratory(1);
    await compares(chain, [1, 2], { options: ['--bwlimit=1500K'] });
    chain.assertHolds(2);
  });

  test('keeps what something else wrote where an attempt had saved', async () => {
    const chain = await laboratory(1);
    await chain.cutOff(2, 1);
    const [[record = assert.fail()] = []] = chain.facts(2).groups;
    const descriptor = openSync(chain.destination, 'r+');
    writeSync(descriptor, random.bytes(4096), 0, 4096, record.offset);
    closeSync(descriptor);
    const foreign = readFileSync(chain.destination);
    await compares(chain, [1, 3]);
    const name = `${pointAt(3).time.replaceAll(':', '-')}.snapback`;
    const link = join(chain.chain, name);
    assertSucceeds(lvmsync(['--force', '--apply', link, chain.destination]));
    assert.ok(readFileSync(chain.destination).equals(foreign));
  });

  test('gives a file that an attempt made longer its size again', async () => {
    const chain = await laboratory(1);
    const content = Buffer.concat([chain.states[1] ?? Buffer.alloc(0), random.bytes(3 * 2 ** 20)]);
    const result = await compare(chain, [1, 2], { content, body: cutAt(2900 * KiB) });
    assert.notEqual(result.status, 0, result.said);
    assert.ok(statSync(chain.destination).size > SPEC.size);
    await compares(chain, [1, 1]);
    chain.assertHolds(1);
    goesBack(chain, [0]);
  });

  test('is refused where another chain has the copy', async () => {
    const chain = await laboratory(1);
    const other = await chain.words(0);
    const words = other.map((word) => (word === chain.chain ? `${word}-other` : word));
    assertSucceeds(lvmsync(['--force', ...words]));
    const { status, said } = await compare(chain, [1, 1]);
    assert.equal(status, 12, said);
    assert.match(said, /a run of the chain in /);
    assert.match(said, /Name another destination\./);
  });

  test('marks a turn that was forced over a copy which something else wrote to', async () => {
    const chain = await laboratory(1);
    writeForeign(chain);
    assertSucceeds(await chain.turn(2, ['--force']));
    assert.deepEqual(exactness(chain), ['unknown', 'unknown', 'unknown']);
    await compares(chain, [2, 2]);
    assert.deepEqual(exactness(chain), ['yes', 'unknown', 'unknown']);
  });

  test('begins and finishes what an attempt made necessary, also for a timer', async () => {
    const chain = await laboratory(1, LARGE);
    const content = random.bytes(LARGE.size);
    const cut = await compare(chain, [1, 2], { content, body: cutAt(5000 * KiB) });
    assert.notEqual(cut.status, 0);
    const again = await compare(chain, [1, 1], { compare: 'lost', body: cutAt(2500 * KiB) });
    assert.notEqual(again.status, 0);
    assert.equal(record(chain).doing.what, 'mend');
    await compares(chain, [1, 1], { compare: 'lost' });
    chain.assertHolds(1);
    goesBack(chain, [0]);
  });
});

describe('a comparison that is cut off', () => {
  test('leaves the chain as it was, or an attempt, and the next one goes on', async () => {
    const chain = await laboratory(1, LARGE);
    const content = random.bytes(LARGE.size);
    let begun = 0;
    for (const bytes of [300, 900, 2000, 5000, 900 * KiB, 2500 * KiB, 2500 * KiB]) {
      const { status, said } = await compare(chain, [1, 2], { content, body: cutAt(bytes) });
      assert.notEqual(status, 0, said);
      if (record(chain).doing !== null) begun++;
      else chain.assertHolds(1, `after ${bytes} bytes`);
    }
    assert.ok(begun > 0 && begun < 7, `${begun} begun`);
    await compares(chain, [1, 2], { content });
    assert.ok(readFileSync(chain.destination).equals(content));
    goesBack(chain, [1, 0]);
  });

  test('fails where something writes to the copy meanwhile', async () => {
    const chain = await laboratory(1);
    const write = `printf x | dd of='${chain.destination}' bs=1 seek=70000 conv=notrunc 2> /dev/null`;
    // The first answer with hashes comes only then.
    const body = `sh -c "$line" | while IFS= read -r one; do case "$one" in *" hashes 0 "*) ${write};; esac; printf '%s\\n' "$one"; done; exit 12`;
    const { status, said } = await compare(chain, [1, 2], { body });
    assert.equal(status, 12, said);
    assert.match(said, /something else wrote to it while it was compared/);
    assert.equal(record(chain).doing, null);
  });

  test('fails where a block changed after it was compared', async () => {
    const chain = await laboratory(1);
    const content = random.bytes(SPEC.size);
    const write = `printf x | dd of='${chain.destination}' bs=1 seek=70000 conv=notrunc 2> /dev/null`;
    const body = `sh -c "$line" | while IFS= read -r one; do case "$one" in *" done "*) ${write};; esac; printf '%s\\n' "$one"; done; exit 12`;
    const { status, said } = await compare(chain, [1, 2], { content, body });
    assert.equal(status, 12, said);
    assert.match(said, /something else wrote to it after it was compared \(block at byte 65536\)/);
    await compares(chain, [1, 2], { content });
    assert.ok(readFileSync(chain.destination).equals(content));
  });

  test('fails before it begins where the receiver cannot do it', async () => {
    const chain = await laboratory(1);
    const body = `sh -c "$line" | sed -u 's/ compare//'`;
    const { status, said } = await compare(chain, [1, 2], { body });
    assert.equal(status, 17, said);
    assert.match(said, /the lvmsync there cannot compare/);
    chain.assertHolds(1);
  });
});

describe('a sender that does not keep to the conversation', () => {
  for (const [what, lines, status] of [
    ['says nothing', '', 15],
    ['sends something else', 'hello\n', 15],
    ['asks in the name of another stream', `lvmsync-hash 1 ${'0'.repeat(32)}\n`, 15],
    ['never ends it', `lvmsync-hash 1 ID\nblocks 0 0+65536\n`, 14],
    ['asks beyond the end', `lvmsync-hash 1 ID\nblocks 0 99999999+65536\n`, 15],
    ['does not say what is to come', `lvmsync-hash 1 ID\nend 0\n`, 15],
    ['sends no data then', `lvmsync-hash 1 ID\nend 0 65536\n`, 14],
  ] as const) {
    test(`is refused where it ${what}`, async () => {
      const chain = await laboratory(1);
      const result = await converse(chain, lines);
      assert.equal(result.status, status, `${result.stderr}`);
      chain.assertHolds(1);
      assert.equal(record(chain).doing, null);
    });
  }
});

/** Sends the lines, with the id of the stream in them, when the receiver is ready. */
async function converse(
  chain: ChainLaboratory,
  lines: string,
): Promise<{ readonly status: number; readonly stderr: string }> {
  const hello = await helloOf(chain);
  const words = [CLI, '--apply', '-', '--chain', chain.chain, chain.destination];
  const receiver = spawn(process.execPath, words);
  receiver.stdin.on('error', () => undefined);
  receiver.stdin.write(hello);
  let answered = '';
  receiver.stdout.on('data', (piece) => {
    if (answered.includes('ready')) return;
    answered += piece;
    if (answered.includes('ready')) receiver.stdin.end(lines.replace('ID', streamId(hello)));
  });
  const stderr = text(receiver.stderr);
  const [status] = await once(receiver, 'exit');
  return { status, stderr: await stderr };
}

async function helloOf(chain: ChainLaboratory): Promise<Buffer> {
  const path = `${chain.chain}-hello`;
  const { attributes } = chain.facts(2);
  const about = { kind: 'wire', deviceSize: SPEC.size, ending: 'none', groups: [] } as const;
  await framedStream(path, { ...about, attributes: { ...attributes, comparison: 'any' } });
  return readFileSync(path);
}

/** As hexadecimal: payload bytes 4-19 of the first frame, two to a word of 12 bytes. */
function streamId(stream: Buffer): string {
  const start = stream.indexOf('\n') + 1;
  const words = Array.from({ length: 8 }, (_, i) => start + 12 * (3 + 2 + i) + 6);
  return words.map((at) => stream.toString('hex', at, at + 2)).join('');
}
