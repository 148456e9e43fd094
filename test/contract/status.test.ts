/** `lvmsync status` on a host that keeps copies in files, for a user who has a registry of copies of their own. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
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
import { EXIT } from '../../src/base/errors.js';
import { splitWords } from '../../src/base/shell-words.js';
import { ChainLaboratory } from '../helpers/chain/chain-laboratory.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  type CliResult,
  runTool,
} from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
chmodSync(folder, 0o755);
const random = new Random();
const HOUR = 3_600_000;
let count = 0;

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
/** Root's registry is where other tests have theirs. */
const AS_USER = isRoot
  ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--']
  : [];

/** A user with a home that holds a chain, and its copy. */
class Home {
  readonly path = join(folder, `${count++}`);
  readonly chains: ChainLaboratory;
  readonly registry = join(this.path, 'state/lvmsync/copies');

  constructor() {
    const spec = { size: 64 * 1024, chunkSize: 4096, turns: 3, changedChunks: 8 };
    this.chains = new ChainLaboratory(this.path, spec, random);
    this.chains.reset();
    this.#give(this.path);
  }

  #give(path: string): void {
    if (!isRoot) return;
    chownSync(path, NOBODY, NOBODY);
    if (!statSync(path).isDirectory()) return;
    for (const name of readdirSync(path)) this.#give(join(path, name));
  }

  argv(words: readonly string[]): string[] {
    return [...AS_USER, process.execPath, CLI, ...words];
  }

  get env(): NodeJS.ProcessEnv {
    return { ...process.env, HOME: this.path, XDG_STATE_HOME: join(this.path, 'state') };
  }

  run(...words: string[]): CliResult {
    return runTool(this.argv(words), { env: this.env });
  }

  /** The words of the turn to that point, all of which are hours apart; the last one is an hour ago. */
  async words(number: number, more: { readonly ending?: 'none' } = {}): Promise<string[]> {
    const at = (n: number): string =>
      `${new Date(Date.now() - (4 - n) * HOUR).toISOString().slice(0, 19)}Z`;
    const to = { toPoint: `point-${number}`, toTime: at(number) };
    const from = number === 0 ? {} : { fromPoint: `point-${number - 1}`, fromTime: at(number - 1) };
    const { groups } = this.chains.facts(number);
    const part = more.ending === 'none' ? { groups: groups.slice(0, 1) } : {};
    const changed = { attributes: { ...to, ...from }, ...part, ...more };
    const words = await this.chains.words(number, changed);
    this.#give(this.path);
    return words;
  }

  async advanceTo(number: number): Promise<void> {
    for (let turn = 0; turn <= number; turn++) {
      assertSucceeds(this.run(...(await this.words(turn))));
    }
  }

  text(status: number, ...words: string[]): string {
    const { stdout, stderr, ...result } = this.run('status', ...words);
    assert.equal(result.status, status, `${stdout}\n${stderr}`);
    assert.equal(stderr, '');
    return String(stdout);
  }

  found(status: number, ...words: string[]): Found {
    const answer: Found = JSON.parse(this.text(status, '--json', ...words));
    assert.equal(answer.exitStatus, status);
    return answer;
  }

  /** Of the only copy. */
  problems(...words: string[]): readonly Problem[] {
    const { copies } = this.found(EXIT.attention, ...words);
    assert.equal(copies.length, 1);
    return copies[0]?.problems ?? [];
  }

  /** Types the command at the end of a remedy. */
  mend({ remedy }: Problem): void {
    const [, typed = ''] = /: ((?:lvmsync|rm) .*?)(?:\. |$)/.exec(remedy ?? '') ?? [];
    const [program, ...words] = splitWords(typed);
    const result = program === 'rm' ? runTool(['rm', ...words]) : this.run(...words);
    assertSucceeds(result);
  }
}

interface Problem {
  readonly what: string;
  readonly remedy: string | null;
}

interface Found {
  readonly exitStatus: number;
  readonly cycles: readonly unknown[];
  readonly copies: readonly {
    readonly path: string;
    readonly chain: string;
    readonly running: boolean;
    readonly point: { readonly uuid: string } | null;
    readonly ageSeconds: number | null;
    readonly points: number;
    readonly oldest: { readonly uuid: string } | null;
    readonly writer: { readonly command: string; readonly chain: string | null };
    readonly problems: readonly Problem[];
  }[];
  readonly problems: readonly Problem[];
  readonly failures: readonly Problem[];
  readonly notes: readonly string[];
}

describe('status', () => {
  test('of a user without copies is one line, and 0', () => {
    const home = new Home();
    const line = 'No copy is known here (only root can see the cycles of this host).\n';
    assert.equal(home.text(0), line);
    const { cycles, copies, problems, failures, notes } = home.found(0);
    assert.deepEqual(
      { cycles, copies, problems, failures },
      { cycles: [], copies: [], problems: [], failures: [] },
    );
    assert.deepEqual(notes, ['only root can see the cycles of this host']);
    assert.ok(!readdirSync(home.path).includes('state'), 'it makes no registry');
  });

  test('shows a copy with its newest and oldest restore point, and changes nothing', async () => {
    const home = new Home();
    await home.advanceTo(3);
    const before = contentOf(home.path);
    const { copies } = home.found(0, '--max-age', '2h');
    const [{ ageSeconds, ...copy } = assert.fail()] = copies;
    const { destination: path, chain } = home.chains;
    assert.deepEqual(
      [copy.path, copy.chain, copy.running, copy.point?.uuid, copy.points, copy.oldest?.uuid],
      [path, chain, false, 'point-3', 4, 'point-0'],
    );
    assert.equal(copy.writer.chain, chain);
    assert.ok(ageSeconds !== null && ageSeconds >= 3600 && ageSeconds < 3700, `${ageSeconds} s`);
    assert.match(
      home.text(0),
      /^COPY +RESTORE POINT +AGE +POINTS +STATE\n.*\n +\S+ +(?:1 h \d+ min|1 h) +4 {2}ok\n {2}restore points in .*, back to .*\n\n1 copy \(.*\): all is well\.\n$/,
    );
    assert.deepEqual(contentOf(home.path), before);
  });

  test('of a restore point that is older than --max-age is 2', async () => {
    const home = new Home();
    await home.advanceTo(2);
    home.found(0);
    const [problem = assert.fail()] = home.problems('--max-age', '1h');
    assert.match(problem.what, /^the last success is 2 h.*: --max-age allows 1 h$/);
    const shown = home.text(EXIT.attention, '--max-age', '1h');
    assert.match(shown, / ATTENTION\n/);
    assert.match(
      shown,
      /\n {2}! the last success is .*\n {4}Find out why its cycle does not run, .*\n/,
    );
    assert.match(shown, /: 1 needs attention\.\n$/);
    for (const age of ['3', '2', 'soon', '5m', '']) {
      assertFails(home.run('status', '--max-age', age), EXIT.usage, /--max-age: /);
    }
  });

  test('while a run writes to the copy is not trouble', async () => {
    const home = new Home();
    await home.advanceTo(1);
    const words = await home.words(2);
    const stream = readFileSync(words[1] ?? '');
    words[1] = '-';
    const [program = '', ...rest] = home.argv(words);
    const child = spawn(program, rest, { env: home.env, stdio: ['pipe', 'ignore', 'ignore'] });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.stdin.write(stream.subarray(0, stream.length - 10));
    const record = join(home.chains.chain, 'chain.json');
    while (!readFileSync(record, 'utf8').includes('"what": "turn"')) await sleep(20);
    const [copy] = home.found(0).copies;
    assert.equal(copy?.running, true);
    assert.match(home.text(0), / running\n/);
    child.stdin.end(stream.subarray(stream.length - 10));
    assert.equal(await ended, 0);
    assert.equal(home.found(0).copies[0]?.running, false);
  });

  test('names the command that undoes an unfinished run', async () => {
    const home = new Home();
    await home.advanceTo(1);
    assertFails(home.run(...(await home.words(2, { ending: 'none' }))), 14, /cut off/);
    const [problem = assert.fail()] = home.problems();
    assert.match(problem.what, /^it holds .*, and a part of .*: that cycle run is not finished$/);
    home.mend(problem);
    home.found(0);
  });

  test('names the command that goes forward again after a rollback', async () => {
    const home = new Home();
    await home.advanceTo(2);
    assertSucceeds(
      home.run('rollback', '--steps', '1', home.chains.destination, home.chains.chain),
    );
    const [problem = assert.fail()] = home.problems();
    assert.match(problem.what, /after a rollback that --redo undoes$/);
    const undone = join(
      home.chains.chain,
      readdirSync(home.chains.chain).find((name) => name.startsWith('undone-')) ?? '',
    );
    chmodSync(undone, 0o000);
    assert.match(home.problems()[0]?.what ?? '', /EACCES/);
    chmodSync(undone, 0o700);
    home.mend(problem);
    home.found(0);
  });

  test('knows of a run and of a program that are not of the chain', async () => {
    const home = new Home();
    await home.advanceTo(1);
    const { destination } = home.chains;
    const undo = join(home.path, 'undo');
    const stream = join(home.path, 'stream-1');
    assertSucceeds(home.run('--apply', stream, '--snapback', undo, destination));
    const [written = assert.fail()] = home.problems();
    assert.match(
      written.what,
      /^it was written at .* by "lvmsync --apply .*not a run of this chain/,
    );
    assert.equal(home.found(EXIT.attention).copies[0]?.writer.chain, null);
    assertSucceeds(home.run('--apply', undo, destination));
    home.found(0);
    writeFileSync(destination, random.bytes(64 * 1024));
    const [foreign = assert.fail()] = home.problems();
    assert.match(foreign.what, /^something else wrote to it/);
    assert.match(foreign.remedy ?? '', /run the cycle once with --compare/);
  });

  test('shows a gap, a copy that is gone, and both at once', async () => {
    const home = new Home();
    await home.advanceTo(3);
    const links = readdirSync(home.chains.chain).filter((name) => name.endsWith('.snapback'));
    rmSync(join(home.chains.chain, links.sort()[0] ?? ''));
    const [gap = assert.fail()] = home.problems();
    assert.match(
      gap.what,
      /^it goes 1 step back, and no further: the snapback before .* is missing/,
    );
    rmSync(home.chains.destination);
    const what = home.problems().map((one) => one.what);
    assert.match(what[0] ?? '', /cannot open: no such device or file/);
    assert.equal(what.length, 2);
  });

  test('asks to forget a chain that is gone, and names the file', async () => {
    const home = new Home();
    await home.advanceTo(0);
    rmSync(home.chains.chain, { recursive: true });
    const [problem = assert.fail()] = home.problems();
    assert.match(problem.what, /^there is no chain in /);
    assert.match(problem.remedy ?? '', /^If its file system is not mounted, mount it\. /);
    home.mend(problem);
    assert.match(home.text(0), /^No copy is known here/);
  });

  test('does not take an entry or a record that cannot be read for one that is well', async () => {
    const home = new Home();
    await home.advanceTo(0);
    const [entry = ''] = readdirSync(home.registry).filter((name) => name.endsWith('.json'));
    const whole = readFileSync(join(home.registry, entry));
    writeFileSync(join(home.registry, entry), whole.subarray(0, 40));
    const { problems } = home.found(EXIT.attention);
    assert.match(problems[0]?.what ?? '', /\.json: this entry .* cannot be understood$/);
    assert.match(
      home.text(EXIT.attention),
      /^! .*\n {2}The next cycle run .*: rm .*\n\n.*1 needs attention\.\n$/,
    );
    writeFileSync(join(home.registry, entry), whole);
    writeFileSync(join(home.chains.chain, 'chain.json'), '{');
    const [record = assert.fail()] = home.problems();
    assert.match(record.what, /chain\.json: not the record of a chain$/);
    chmodSync(home.chains.chain, 0o000);
    assert.match(home.problems()[0]?.what ?? '', /chain\.json: cannot be read \(EACCES\)$/);
    chmodSync(home.chains.chain, 0o700);
  });

  test('is 16 where the registry cannot be read, and not all well', async () => {
    const home = new Home();
    await home.advanceTo(0);
    chmodSync(home.registry, 0o000);
    const result = home.run('status');
    assertFails(result, EXIT.snapback, /copies: the registry of copies cannot be read \(EACCES/);
    assert.equal(
      String(result.stdout),
      'No cycle or copy was found. Not everything could be looked at.\n',
    );
    assert.equal(home.found(EXIT.snapback).failures.length, 1);
    chmodSync(home.registry, 0o700);
  });

  test('has one line for a chain that was begun anew on another copy', async () => {
    const home = new Home();
    await home.advanceTo(0);
    const other = join(home.path, 'other');
    writeFileSync(other, Buffer.alloc(64 * 1024));
    const words = await home.words(0);
    const again = words.map((word) => (word === home.chains.destination ? other : word));
    assertSucceeds(home.run('--force', ...again));
    const { copies } = home.found(0);
    assert.deepEqual(
      copies.map(({ path }) => path),
      [other],
    );
  });

  test('takes no operand', () => {
    const home = new Home();
    mkdirSync(join(home.path, 'x'));
    assertFails(home.run('status', 'vg0/mail'), EXIT.usage, /too many operands/);
  });
});

/** Of each file below: its name, its bytes and when it was changed. */
function contentOf(path: string): string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const file = join(entry.path, entry.name);
      return `${file} ${statSync(file).mtimeMs} ${readFileSync(file).toString('hex')}`;
    })
    .sort();
}
