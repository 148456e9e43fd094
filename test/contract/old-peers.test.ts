/**
 * Today's program and that of commit 4bc2114, each on either side: hosts are not upgraded at the same
 * moment, and files outlive the program that wrote them.
 */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { findLockDirectory } from '../../src/host/lock-directory.js';
import type { ChainSurvey } from '../helpers/chain/chain-laboratory.js';
import { ChainLaboratory, pointAt } from '../helpers/chain/chain-laboratory.js';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  type CliResult,
  runTool,
  startLvmsync,
} from '../helpers/program/cli.js';
import { oldProgram, type Program, TODAY } from '../helpers/program/old-program.js';
import { Random } from '../helpers/random.js';
import { fakeRsh, loginShell, writeLvmsync } from '../helpers/remote/fake-rsh.js';
import { scratchFolder } from '../helpers/scratch.js';

const { program: OLD, skip } = oldProgram();
const CHUNK = 64 * 1024;
const CHUNKS = 100;
const random = new Random();
const folder = scratchFolder();
const source = offlineSource(folder, {
  chunkSize: CHUNK,
  size: CHUNKS * CHUNK,
  changedChunks: Array.from({ length: CHUNKS }, (_, i) => i).filter(() => random.below(3) > 0),
});
let made = 0;
const fresh = (what: string): string => join(folder, `${what}-${made++}`);

function run({ path }: Program, ...words: string[]): CliResult {
  return runTool([process.execPath, path, ...words]);
}

/** A new file that holds what the snapshot holds. */
function copy(content: Buffer = source.former): string {
  const path = fresh('copy');
  writeFileSync(path, content);
  return path;
}

function assertHolds(path: string, content: Buffer): void {
  assert.ok(readFileSync(path).equals(content), `${path} holds what it should`);
}
const assertSynced = (path: string): void => assertHolds(path, source.content);
const assertUntouched = (path: string): void => assertHolds(path, source.former);

/** Stands for ssh to a host that has that program. `calls` has a line for each time. */
function rshTo(receiver: Program): { readonly command: string; readonly calls: string } {
  const home = fresh('host');
  mkdirSync(join(home, 'bin'), { recursive: true });
  writeLvmsync(join(home, 'bin'), receiver.path);
  const calls = join(home, 'calls');
  writeFileSync(calls, '');
  return { command: fakeRsh(home, `echo "$line" >>${calls}\n${loginShell()}`).command, calls };
}

/** Until a lock file says that a run has the file. */
async function untilClaimed(path: string): Promise<void> {
  const locks = findLockDirectory() ?? assert.fail('there is no directory for locks');
  const mark = `-${statSync(path).ino}.`;
  for (let tries = 0; tries < 1000; tries++) {
    const names = readdirSync(locks).filter((one) => one.includes(mark));
    if (names.some((one) => /^held$/m.test(readFileSync(join(locks, one), 'utf8')))) return;
    await sleep(20);
  }
  assert.fail('it was never claimed');
}

const MEETINGS = [
  { here: TODAY, there: OLD },
  { here: OLD, there: TODAY },
];

for (const { here, there } of MEETINGS) {
  const rsh = rshTo(there);
  const send = (path: string, ...options: string[]): CliResult =>
    run(here, ...source.words, '-e', rsh.command, ...options, `backup:${path}`);

  describe(`${here.name} program sends to ${there.name}`, { skip }, () => {
    test('what changed, and is told that it is there', () => {
      const path = copy();
      const result = send(path, '--require-ack');
      assertSucceeds(result);
      assert.doesNotMatch(result.stderr, /WARNING/);
      assertSynced(path);
    });

    for (const options of [['--compress'], ['--compress=lz4'], ['--format', 'classic']]) {
      test(`under ${options.join(' ')}`, () => {
        const path = copy();
        assertSucceeds(send(path, ...options));
        assertSynced(path);
      });
    }

    test('with an undo file, which both programs apply', () => {
      for (const program of [here, there]) {
        const [path, undo] = [copy(), fresh('undo')];
        assertSucceeds(send(path, '--require-ack', '--snapback', undo));
        assertSynced(path);
        assertSucceeds(run(program, 'inspect', undo));
        assertSucceeds(run(program, '--apply', undo, path));
        assertUntouched(path);
      }
    });

    test('in two streams, with undo files', () => {
      const [path, undo] = [copy(), fresh('undo')];
      writeFileSync(rsh.calls, '');
      assertSucceeds(send(path, '--require-ack', '--streams', '2', '--snapback', undo));
      assertSynced(path);
      assert.equal(readFileSync(rsh.calls, 'utf8').match(/--apply -/g)?.length, 2);
      for (const part of ['2-of-2', '1-of-2']) {
        assertSucceeds(run(here, '--apply', `${undo}.${part}`, path));
      }
      assertUntouched(path);
    });

    test('in two streams and compressed', () => {
      const path = copy();
      assertSucceeds(send(path, '--require-ack', '--streams', '2', '--compress=lz4'));
      assertSynced(path);
    });

    test('nothing in a dry run', () => {
      const [path, undo] = [copy(), fresh('undo')];
      assertSucceeds(send(path, '--dry-run', '--snapback', undo));
      assertUntouched(path);
      assertFails(send(join(folder, 'not/there'), '--dry-run'), 12, /not\/there/);
    });

    test('nothing to a destination that is not there, with its words and status', () => {
      assertFails(send(join(folder, 'not/there')), 12, /backup: .*not\/there/);
    });

    test('nothing where its lock is held there', async () => {
      const path = copy();
      const other = startLvmsync(['--apply', '-', path], undefined, there.path);
      const stream = run(here, ...source.words, '--stdout').stdout;
      other.child.stdin?.write(stream.subarray(0, stream.length / 2));
      await untilClaimed(path);
      assertFails(send(path), 19, /another/);
      other.child.stdin?.end(stream.subarray(stream.length / 2));
      assertSucceeds(await other.ended);
      assertSynced(path);
    });

    test('and is not kept from it by a run there that was killed', async () => {
      const path = copy();
      const other = startLvmsync(['--apply', '-', path], undefined, there.path);
      const stream = run(here, ...source.words, '--stdout').stdout;
      other.child.stdin?.write(stream.subarray(0, stream.length / 2));
      await untilClaimed(path);
      other.child.kill('SIGKILL');
      await other.ended;
      assertSucceeds(run(here, ...source.words, path));
      assertSynced(path);
    });

    test('by way of a helper that is lent', () => {
      const path = copy();
      const helper = fresh('helper');
      writeFileSync(helper, `#!/bin/sh\nexec '${process.execPath}' '${there.path}' "$@"\n`);
      const temporary = fresh('temporary');
      mkdirSync(temporary);
      const bare = `exec env PATH=/usr/bin:/bin TMPDIR=${temporary} sh -c "$line"`;
      const words = [...source.words, '-e', fakeRsh(folder, bare).command, '--require-ack'];
      const result = run(here, ...words, '--push-helper', helper, `backup:${path}`);
      assertSucceeds(result);
      assert.match(result.stderr, /has no lvmsync: sending/);
      assertSynced(path);
      assert.deepEqual(readdirSync(temporary), []);
    });

    test('the question whether both hold the same', () => {
      const path = copy();
      const verify = (...options: string[]): CliResult =>
        run(here, 'verify', ...options, ...source.words, '-e', rsh.command, `backup:${path}`);
      assert.equal(verify().status, 4);
      assert.equal(verify('--full').status, 4);
      assertUntouched(path);
      const undo = fresh('undo');
      assertSucceeds(verify('--repair', '--snapback', undo));
      assertSynced(path);
      assertSucceeds(verify());
      assertSucceeds(verify('--full'));
      assertSucceeds(run(there, '--apply', undo, path));
      assertUntouched(path);
    });

    test('the question of the doctor', () => {
      const path = copy();
      const words = ['doctor', '--json', '-e', rsh.command, '-', `backup:${path}`];
      const lines = run(here, ...words)
        .stdout.toString()
        .split('\n')
        .filter(Boolean);
      const found = lines.map((line) => JSON.parse(line));
      const one = found.filter(
        ({ host, subject }) => host === 'backup' && subject === 'destination',
      );
      assert.deepEqual(
        one.map(({ level }) => level),
        ['ok'],
        lines.join('\n'),
      );
    });
  });

  describe(`${here.name} program writes files for ${there.name}`, { skip }, () => {
    for (const options of [[], ['--compress=lz4'], ['--format', 'classic']]) {
      test(`change streams${options.map((one) => ` ${one}`).join('')}`, () => {
        const stream = fresh('stream');
        const dumped = run(here, ...source.words, '--stdout', ...options);
        assertSucceeds(dumped);
        writeFileSync(stream, dumped.stdout);
        const [path, undo] = [copy(), fresh('undo')];
        assertSucceeds(run(there, '--apply', stream, '--snapback', undo, path));
        assertSynced(path);
        assertSucceeds(run(here, '--apply', undo, path));
        assertUntouched(path);
      });
    }

    test('undo files of a local run', () => {
      const [path, undo] = [copy(), fresh('undo')];
      assertSucceeds(run(here, ...source.words, '--snapback', undo, path));
      assertSynced(path);
      assertSucceeds(run(there, '--apply', undo, path));
      assertUntouched(path);
    });
  });

  describe(`${here.name} program goes on with a chain of ${there.name}`, { skip }, () => {
    const spec = { size: 512 * 1024, chunkSize: 4096, turns: 3, changedChunks: 40 };
    const laboratory = (): ChainLaboratory => {
      const chain = new ChainLaboratory(fresh('chain'), spec, random);
      chain.reset();
      return chain;
    };
    /** The words are those that the sender of a cycle has run. */
    async function turn(program: Program, chain: ChainLaboratory, number: number): Promise<void> {
      const input = readFileSync(await chain.stream(number));
      const init = number === 0 ? ['--init'] : [];
      const words = [
        '--apply',
        '-',
        '--chain',
        chain.chain,
        ...init,
        '--keep',
        '9',
        chain.destination,
      ];
      assertSucceeds(runTool([process.execPath, program.path, ...words], { input }));
      chain.assertHolds(number);
    }
    function survey(program: Program, { chain, destination }: ChainLaboratory): ChainSurvey {
      const result = run(program, 'chain', '--json', '--', chain, destination);
      assertSucceeds(result);
      return JSON.parse(result.stdout.toString());
    }
    const back = (program: Program, chain: ChainLaboratory, ...words: string[]): CliResult =>
      run(program, 'rollback', ...words, chain.destination, chain.chain);

    test('turn by turn, and back over all of them', async () => {
      const chain = laboratory();
      await turn(there, chain, 0);
      await turn(there, chain, 1);
      assert.deepEqual(survey(here, chain).point, pointAt(1));
      await turn(here, chain, 2);
      await turn(there, chain, 3);
      assert.deepEqual(survey(there, chain).point, pointAt(3));
      assertSucceeds(back(here, chain, '--steps', '2'));
      chain.assertHolds(1);
      assertSucceeds(back(there, chain, '--redo'));
      chain.assertHolds(3);
      assertSucceeds(back(there, chain, '--steps', '3'));
      chain.assertHolds(0);
      assertSucceeds(back(here, chain, '--redo'));
      chain.assertHolds(3);
    });

    test('after a turn that was cut off', async () => {
      const chain = laboratory();
      await turn(there, chain, 0);
      await turn(there, chain, 1);
      const { groups } = chain.facts(2);
      const cut = await chain.words(2, { groups: groups.slice(0, 1), ending: 'none' });
      assertFails(run(there, ...cut), 14, /cut off/);
      assert.equal(survey(here, chain).incomplete, true);
      await turn(here, chain, 2);
      assertSucceeds(back(here, chain, '--steps', '1'));
      chain.assertHolds(1);
    });
  });
}
