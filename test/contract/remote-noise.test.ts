/** What a login prints around the answers of the lvmsync there, and what it leaves behind. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseOptions } from '../../src/cli/option-grammar.js';
import { toCommand } from '../../src/cli/parse.js';
import { askChain } from '../../src/cycle/ask-chain.js';
import { Reporter } from '../../src/run/reporter.js';
import { assertSucceeds, type CliResult, lvmsync } from '../helpers/program/cli.js';
import type { FakeRsh } from '../helpers/remote/fake-rsh.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';

const fixture = new RemoteFixture();

/** Run by the login shell before or behind the program; each is a line of sh. */
const NOISE: readonly [what: string, before: string, after: string][] = [
  ['300 lines', 'seq -f "the news of today, line %g" 300', ':'],
  ['a window title', "printf '\\033]0;backup\\007'", ':'],
  ['words without an end of line', "printf 'Welcome to backup: '", ':'],
  ['a brace without an end of line', "printf '{motd} '", ':'],
  ['JSON of its own', 'printf \'{"path":"/","motd":{"level":"ok"}} \'', ':'],
  ['20,000 characters without an end of line', 'head -c 20000 /dev/zero | tr "\\0" x', ':'],
  ['words behind the answer', ':', "printf 'Goodbye'"],
];

function noisy(before: string, after: string): FakeRsh {
  return fixture.rsh(`${before}\nsh -c "$line"\nstatus=$?\n${after}\nexit $status`);
}

/** As ssh does: stands for as long as anything on the other host holds the output open. */
function haunted(): FakeRsh {
  const status = fixture.path('haunted-status');
  return fixture.rsh(
    `{ sleep 30 & echo $! > '${status}.pid'; sh -c "$line"; echo $? > '${status}'; } | cat\nexit $(cat '${status}')`,
  );
}

async function chainAnswer({ command: rsh }: FakeRsh, path: string): Promise<unknown> {
  const words = ['cycle', 'vg/mail', `backup:${path}`, '--snapback', fixture.path('no chain')];
  const command = toCommand(parseOptions([...words, '--init', '--rsh', rsh]));
  assert.ok(command.kind === 'cycle');
  const reporter = new Reporter({ verbosity: 'quiet', write: () => undefined, isTTY: false });
  const silent = { print: () => undefined, answer: () => undefined, agentSocket: undefined };
  const { signal } = new AbortController();
  const context = { ...silent, reporter, signal, commandLine: 'lvmsync', engine: 'auto' };
  return askChain(command, { size: 0 }, context);
}

const NO_CHAIN = { point: undefined, doing: undefined };

function assertExamined(result: CliResult): void {
  const found =
    /"subject":"destination","text":"[^"]*can be written[^"]*","fileSize":\d+,"host":"backup"/;
  assert.match(result.stdout.toString(), found, result.stderr);
}

type Work = (rsh: FakeRsh) => Promise<void> | void;

const WORKS: readonly [what: string, work: Work][] = [
  [
    'a sync',
    (rsh) => {
      const path = fixture.copy();
      assertSucceeds(fixture.send(rsh, path, '--require-ack'));
      assert.ok(fixture.isSynced(path));
    },
  ],
  ['a dry run', (rsh) => assertSucceeds(fixture.send(rsh, fixture.copy(), '--dry-run'))],
  [
    'a verify',
    (rsh) => {
      const path = fixture.copy();
      const words = ['verify', ...fixture.source, '-e', rsh.command, `backup:${path}`];
      const result = lvmsync(words);
      assert.equal(result.status, 4, result.stderr);
      assert.doesNotMatch(result.stderr, /FATAL/);
      assert.ok(fixture.isUntouched(path));
    },
  ],
  [
    'the question of a cycle',
    async (rsh) => assert.deepEqual(await chainAnswer(rsh, fixture.copy()), NO_CHAIN),
  ],
  [
    'a doctor',
    (rsh) => {
      const words = ['doctor', '--json', '-e', rsh.command, '-', `backup:${fixture.copy()}`];
      assertExamined(lvmsync(words));
    },
  ],
];

/** Takes seconds. */
const BENCH: readonly [what: string, work: Work] = [
  'a bench',
  (rsh) => {
    const scratch = fixture.path('scratch');
    const words = ['bench', '--json', '-e', rsh.command, '--streams', '1', '--scratch', scratch];
    const result = lvmsync([...words, 'backup:']);
    assertSucceeds(result);
    assert.match(result.stdout.toString(), /"what":"link"/);
    assert.match(result.stdout.toString(), /"host":"backup"/);
  },
];

for (const [what, before, after] of NOISE) {
  describe(`F13: where the login prints ${what}`, () => {
    for (const [work, run] of what.startsWith('words without') ? [...WORKS, BENCH] : WORKS) {
      test(`${work} is answered`, { timeout: 90_000 }, () => run(noisy(before, after)));
    }
  });
}

describe('F13: where the login leaves something behind that holds its output open', () => {
  for (const [work, run] of [...WORKS, BENCH]) {
    test(`${work} comes to its end`, { timeout: 90_000 }, async () => {
      const rsh = haunted();
      const begun = performance.now();
      await run(rsh);
      assert.ok(performance.now() - begun < 25_000, 'it was not waited for');
      process.kill(Number(readFileSync(fixture.path('haunted-status.pid'), 'utf8')), 'SIGKILL');
    });
  }
});
