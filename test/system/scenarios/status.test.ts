/** `lvmsync status` beside real cycles: what it sees on the side of the volume, and on that of the copy. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { assertFails, type CliResult, lvmsync } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { CycleLaboratory } from '../harness/cycles.js';
import { KiB, MiB } from '../harness/lvm.js';
import { useOwnStateFolder } from '../harness/thin.js';

useOwnStateFolder();

const random = new Random();

interface Found {
  readonly exitStatus: number;
  readonly cycles: readonly {
    readonly origin: string;
    readonly destination: string | null;
    readonly running: boolean;
    readonly ageSeconds: number;
    readonly snapshots: readonly { readonly state: string }[];
    readonly fills: readonly { readonly what: string; readonly percent: number }[];
    readonly problems: readonly Problem[];
  }[];
  readonly copies: readonly {
    readonly path: string;
    readonly running: boolean;
    readonly points: number;
    readonly problems: readonly Problem[];
  }[];
  readonly failures: readonly Problem[];
}

interface Problem {
  readonly what: string;
  readonly remedy: string | null;
}

function text(status: number, ...words: string[]): string {
  const result: CliResult = lvmsync(['status', ...words]);
  assert.equal(result.status, status, `${result.stdout}\n${result.stderr}`);
  return String(result.stdout);
}

function found(status: number, ...words: string[]): Found {
  const answer: Found = JSON.parse(text(status, '--json', ...words));
  assert.equal(answer.exitStatus, status);
  return answer;
}

/** What is wrong with the only one of them. */
function wordsOf(all: readonly { readonly problems: readonly Problem[] }[]): string {
  assert.equal(all.length, 1);
  return (all[0]?.problems ?? []).map(({ what, remedy }) => `${what}\n${remedy}`).join('\n');
}

/** As the last one of one test leaves it the next one finds it: each look takes a second here. */
describe('the status of a host', () => {
  let laboratory: CycleLaboratory;
  before(() => {
    laboratory = new CycleLaboratory('thick', random);
  });
  after(() => laboratory.destroy());
  const write = (at: number, bytes: number): void => {
    const descriptor = openSync(laboratory.origin.path, 'r+');
    writeSync(descriptor, random.bytes(bytes), 0, bytes, at);
    fsyncSync(descriptor);
    closeSync(descriptor);
  };

  test('without cycles and copies is one line', () => {
    assert.equal(text(0), 'No cycle or copy is known here.\n');
  });

  test('after a run has the cycle and its copy, and all is well', () => {
    const run = laboratory.turn('--init', '--size', '2M');
    assert.equal(run.status, 0, run.stderr);
    const { path } = laboratory.copy;
    const { cycles, copies } = found(0, '--max-age', '1h');
    assert.equal(cycles.length, 1);
    const [{ ageSeconds, snapshots, fills, ...cycle } = assert.fail()] = cycles;
    assert.equal(cycle.origin, 'vg0/mail');
    assert.equal(cycle.destination, path);
    assert.ok(ageSeconds >= 0 && ageSeconds < 300, `${ageSeconds} s`);
    assert.deepEqual(
      snapshots.map(({ state }) => state),
      ['whole'],
    );
    assert.deepEqual(
      fills.map(({ what }) => what),
      ['COW store'],
    );
    assert.deepEqual(
      copies.map((one) => [one.path, one.points, one.running]),
      [[path, 1, false]],
    );
    const shown = text(0);
    assert.match(shown, /^CYCLE OF +LAST SNAPSHOT +AGE +FULL +STATE\nvg0\/mail .* ok$/m);
    assert.match(shown, /^\/dev\/mapper\/vg1-mail .* 1 {2}ok$/m);
    assert.match(shown, /\n1 cycle, 1 copy: all is well\.\n$/);
    const long = shown.split('\n').filter((line) => line.length > 80);
    assert.deepEqual(long, []);
  });

  test('beside a run is not trouble; when that is killed, both sides have what is unfinished', async () => {
    write(0, MiB);
    const turn = laboratory.startTurn('--size', '8M', '--bwlimit', '200K');
    const ended = once(turn, 'exit');
    await laboratory.isUnderWay(turn);
    const sending = found(0);
    process.kill(-(turn.pid ?? 0), 'SIGKILL');
    await ended;
    assert.equal(sending.cycles[0]?.running, true);
    assert.equal(sending.cycles[0]?.snapshots.length, 2);
    assert.equal(sending.copies[0]?.running, true);
    // The receiver, which has lost its sender, may still be flushing.
    let seen = found(EXIT.attention);
    for (let tries = 0; tries < 9 && seen.copies[0]?.running; tries++) seen = found(EXIT.attention);
    assert.match(
      wordsOf(seen.cycles),
      /^a cycle run was interrupted: it left 2 snapshots\nRun its/,
    );
    assert.match(
      wordsOf(seen.copies),
      /that cycle run is not finished\n.* it continues\. .*: lvmsync rollback --steps 0 \/dev\/mapper\/vg1-mail \//,
    );
  });

  test('names the command that enlarges a snapshot before it overflows, and what helps after that', () => {
    write(MiB, 768 * KiB);
    const nearly = wordsOf(found(EXIT.attention).cycles);
    assert.match(
      nearly,
      /[89]\d\.\d% full; .*\nMake room: lvextend --size \+SIZE vg0\/mail-lvmsync-/,
    );
    write(2 * MiB, MiB);
    assert.match(
      wordsOf(found(EXIT.attention).cycles),
      /it overflowed, .*\nRun its cycle command with --compare: /,
    );
  });

  test('does not end with 0 where LVM does not answer; the copies are shown', async () => {
    // Nothing else is wrong then.
    const undone = lvmsync(['rollback', '--steps', '0', laboratory.copy.path, laboratory.chain]);
    assert.equal(undone.status, 0, undone.stderr);
    const held = ['-o', '-x', '/run/lock/lvm/V_vg0', 'sh', '-c', 'echo held; exec sleep 1000'];
    const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
    const holder = spawn('flock', held, { stdio, detached: true });
    await once(holder.stdout, 'data');
    const ended = once(holder, 'exit');
    try {
      const late = lvmsync(['status', '--timeout', '1']);
      assertFails(late, EXIT.sourceUnfit, /^FATAL ERROR: lvs: no answer for 1 s$/);
      const shown = String(late.stdout);
      assert.match(shown, /^\/dev\/mapper\/vg1-mail .* ok$/m);
      assert.match(shown, /\n0 cycles, 1 copy\. Not everything could be looked at\.\n$/);
    } finally {
      process.kill(-(holder.pid ?? 0), 'SIGKILL');
      await ended;
    }
  });
});
