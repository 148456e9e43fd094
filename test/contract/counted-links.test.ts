/**
 * A turn, or a rollback, that took two tries: the second snapback counts on the first. If the first loses
 * any of that later, nothing may be undone with it.
 */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseOptions } from '../../src/cli/option-grammar.js';
import { toCommand } from '../../src/cli/parse.js';
import { runRollback } from '../../src/commands/rollback.js';
import { Reporter } from '../../src/run/reporter.js';
import { ChainLaboratory, pointAt } from '../helpers/chain/chain-laboratory.js';
import { assertFails, assertSucceeds, type CliResult, lvmsync } from '../helpers/program/cli.js';
import { runInProcess } from '../helpers/program/in-process.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';
import { recordsOf } from '../helpers/streams/stream-parts.js';

const folder = scratchFolder();
const random = new Random();
let count = 0;

/** What is left of a snapback that consists of several groups and has no END. */
const LOSSES: readonly [what: string, lose: (bytes: Buffer) => Buffer, status: number][] = [
  ['its last group', (bytes) => bytes.subarray(0, groupEnds(bytes).at(-2)), 14],
  ['all but its first group', (bytes) => bytes.subarray(0, groupEnds(bytes)[0]), 14],
  ['all of its groups', (bytes) => bytes.subarray(0, helloEnd(bytes)), 14],
  ['1000 bytes', (bytes) => bytes.subarray(0, -1000), 14],
  ['one bit of its last group', (bytes) => withFlip(bytes, -20_000), 15],
  ['one bit of the mark of its last group', (bytes) => withFlip(bytes, -100), 15],
];

/** Where groups end: a mark is control words, and nothing but data follows it. */
function groupEnds(bytes: Buffer): number[] {
  const ends: number[] = [];
  let position = bytes.indexOf('\n') + 1;
  let before = 'control';
  let hadData = false;
  for (const { data } of recordsOf(bytes)) {
    const now = data.length > 0 ? 'data' : 'control';
    if (now === 'data' && before === 'control' && hadData) ends.push(position);
    hadData ||= now === 'data';
    before = now;
    position += 12 + data.length;
  }
  return [...ends, position];
}

function helloEnd(bytes: Buffer): number {
  const start = bytes.indexOf('\n') + 1;
  return start + 12 * recordsOf(bytes).findIndex(({ data }) => data.length > 0);
}

function withFlip(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  const place = bytes.length + at;
  changed.writeUInt8(changed.readUInt8(place) ^ 1, place);
  return changed;
}

/** Its destination holds the second point, to which it came with the second try. */
async function twoTries(): Promise<{ readonly chain: ChainLaboratory; readonly link: string }> {
  const spec = { size: 1024 * 1024, chunkSize: 4096, turns: 2, changedChunks: 160 };
  const chain = new ChainLaboratory(join(folder, `${count++}`), spec, random);
  await chain.advanceTo(1);
  const part = chain.facts(2).groups.slice(0, 5);
  const words = await chain.words(2, { groups: part, ending: 'none' });
  assertFails(await runInProcess(words), 14, /cut off/);
  assertSucceeds(await runInProcess(await chain.words(2)));
  chain.assertHolds(2);
  return { chain, link: join(chain.chain, `${pointAt(2).time.replaceAll(':', '-')}.snapback`) };
}

/** A rollback that is interrupted when it has written some groups, and run again. */
async function rollbackInTwoTries(chain: ChainLaboratory): Promise<string> {
  const words = ['rollback', '--steps', '2', chain.destination, chain.chain];
  const command = toCommand(parseOptions(words));
  assert.ok(command.kind === 'rollback');
  const controller = new AbortController();
  const reporter = new Reporter({ verbosity: 'quiet', write: () => undefined, isTTY: false });
  reporter.progress = ({ activity, doneBytes }) => {
    if (activity === 'Rolling back' && doneBytes > 0) controller.abort('SIGINT');
  };
  const context = { print: () => undefined, answer: () => undefined, agentSocket: undefined };
  const about = { reporter, signal: controller.signal, command: words.join(' '), engine: 'auto' };
  await assert.rejects(runRollback(command, { ...context, ...about } as never), /interrupted/);
  assertSucceeds(await runInProcess(words));
  chain.assertHolds(0);
  const undone = readdirSync(chain.chain).find((name) => name.startsWith('undone-'));
  return join(chain.chain, undone ?? assert.fail(), 'redo.snapback');
}

function back({ destination, chain }: ChainLaboratory, ...words: string[]): Promise<CliResult> {
  return runInProcess(['rollback', ...words, destination, chain]);
}

function assertRefused(result: CliResult, status: number): void {
  assert.ok([14, 15].includes(result.status ?? 0), `status ${result.status}: ${result.stderr}`);
  assert.match(result.stderr, /Nothing was written/);
  assert.ok(status === 14 || result.status === status);
}

describe('F30: a turn that took two tries', () => {
  for (const [what, lose, status] of LOSSES) {
    test(`F30: is not undone when the first one loses ${what}`, async () => {
      const { chain, link } = await twoTries();
      const whole = readFileSync(link);
      writeFileSync(link, lose(whole));
      for (const words of [
        ['--steps', '1'],
        ['--steps', '2'],
        ['--steps', '1', '--dry-run'],
      ]) {
        assertRefused(await back(chain, ...words), status);
        chain.assertHolds(2, what);
      }
      const seen = lvmsync(['inspect', link]);
      assert.equal(seen.status, status);
      assert.match(String(seen.stdout), /cannot be applied completely: .*\.2\.snapback needs/);
      const alone = ['--apply', link, chain.destination];
      assertRefused(await runInProcess(alone), status);
      chain.assertHolds(2, what);
      if (status === 14) {
        const { gap, points } = chain.survey();
        assert.match(gap ?? '', /\.2\.snapback needs/);
        assert.deepEqual(points, [{ ...pointAt(2), steps: 0, undoBytes: 0, exact: 'yes' }]);
      }
      writeFileSync(link, whole);
      assertSucceeds(await back(chain, '--steps', '1'));
      chain.assertHolds(1);
    });
  }
});

test('F30: a third try goes on when the second cannot count on the first any more, and says so', async () => {
  const spec = { size: 1024 * 1024, chunkSize: 4096, turns: 2, changedChunks: 160 };
  const chain = new ChainLaboratory(join(folder, `${count++}`), spec, random);
  await chain.advanceTo(1);
  for (const groups of [4, 7]) {
    const part = chain.facts(2).groups.slice(0, groups);
    const words = await chain.words(2, { groups: part, ending: 'none' });
    assertFails(await runInProcess(words), 14, /cut off/);
  }
  const first = join(chain.chain, `${pointAt(2).time.replaceAll(':', '-')}.snapback`);
  const whole = readFileSync(first);
  writeFileSync(first, whole.subarray(0, groupEnds(whole).at(-2)));
  const { stderr } = await runInProcess(await chain.words(2));
  assert.match(
    stderr,
    /\.2\.snapback needs its first .* it will not be possible to undo this cycle run/,
  );
  chain.assertHolds(2);
  assertRefused(await back(chain, '--steps', '1'), 14);
  chain.assertHolds(2);
  writeFileSync(first, whole);
  assertSucceeds(await back(chain, '--steps', '1'));
  chain.assertHolds(1);
});

describe('F30: a rollback that took two tries', () => {
  for (const [what, lose, status] of LOSSES) {
    test(`F30: is not taken back when the first one loses ${what}`, async () => {
      const { chain } = await twoTries();
      const redo = await rollbackInTwoTries(chain);
      const whole = readFileSync(redo);
      writeFileSync(redo, lose(whole));
      assertRefused(await back(chain, '--redo'), status);
      assertRefused(await back(chain, '--redo', '--dry-run'), status);
      chain.assertHolds(0, what);
      assert.equal(lvmsync(['inspect', redo]).status, status);
      if (status === 14) {
        const said = lvmsync(['chain', chain.chain]);
        assert.match(String(said.stdout), /cannot be undone: .*redo\.2\.snapback needs/);
      }
      writeFileSync(redo, whole);
      assertSucceeds(await back(chain, '--redo'));
      chain.assertHolds(2);
    });
  }
});
