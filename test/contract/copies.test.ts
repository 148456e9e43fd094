/** F34: whose copy a destination is. Chains, and what else writes to their copies, on files. */

import assert from 'node:assert/strict';
import {
  closeSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChainLaboratory } from '../helpers/chain/chain-laboratory.js';
import { entriesOf } from '../helpers/chain/registry-entries.js';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  type CliResult,
  canTrace,
  lvmsync,
  runTool,
  startLvmsync,
} from '../helpers/program/cli.js';
import { tracedLvmsync } from '../helpers/program/traced-cli.js';
import { Random } from '../helpers/random.js';
import { fakeRsh, loginShell, writeLvmsync } from '../helpers/remote/fake-rsh.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
const random = new Random();
const SPEC = { size: 1024 * 1024, chunkSize: 4096, turns: 4, changedChunks: 20 };
const source = offlineSource(folder, { size: SPEC.size, changedChunks: [3, 5, 100] });
let count = 0;

async function laboratory(destination?: string): Promise<ChainLaboratory> {
  const places = destination === undefined ? {} : { destination };
  return new ChainLaboratory(join(folder, `${count++}`), SPEC, random, places);
}

/** A chain at its first point. */
async function begun(): Promise<ChainLaboratory> {
  const chain = await laboratory();
  await chain.advanceTo(1);
  return chain;
}

function plainSync(path: string, ...words: string[]): CliResult {
  return lvmsync([...source.words, ...words, path]);
}

/** `way`: a number of steps, or the option to take a rollback back. */
function wordsBack({ destination, chain }: ChainLaboratory, way: string): string[] {
  const words = way === '--redo' ? [way] : ['--steps', way];
  return ['rollback', ...words, destination, chain];
}

function rollbackBy(chain: ChainLaboratory, way: string): CliResult {
  return lvmsync(wordsBack(chain, way));
}

/** With a fault in the first write to the copy. */
async function traced(
  { destination }: ChainLaboratory,
  words: readonly string[],
  fault: string,
): Promise<{ readonly signal: NodeJS.Signals | null; readonly status: number | null }> {
  const inject = `pwrite64:${fault}:when=1`;
  const output = `${destination}.trace`;
  return tracedLvmsync(words, { paths: [destination], calls: ['pwrite64'], inject, output });
}

function rollback({ destination, chain }: ChainLaboratory, ...words: string[]): CliResult {
  return lvmsync(['rollback', '--steps', '1', ...words, destination, chain]);
}

const WARNED =
  /is the copy of the chain in .*: once this run has written to it, the next cycle run or rollback of that chain will be refused/;

async function assertRefused(chain: ChainLaboratory, message: RegExp): Promise<void> {
  const before = readFileSync(chain.destination);
  assertFails(await chain.turn(2), 12, message);
  assertFails(rollback(chain), 12, message);
  assertFails(rollback(chain, '--dry-run'), 12, message);
  assert.match(chain.survey().mismatch ?? '', message);
  assert.ok(readFileSync(chain.destination).equals(before), 'nothing was written');
}

describe('F34: a run that is of no chain, on the copy of one,', () => {
  test('is warned, and then no turn or rollback is taken unless that is forced', async () => {
    const chain = await begun();
    assert.match(plainSync(chain.destination, '--dry-run').stderr, WARNED);
    assertSucceeds(lvmsync(['--dry-run', ...(await chain.words(2))]));
    const synced = plainSync(chain.destination);
    assertSucceeds(synced);
    assert.match(synced.stderr, WARNED);
    await assertRefused(chain, /written at .* by ".*lvmsync.*", which is not a run of this chain/);
    assertSucceeds(await chain.turn(2, ['--force']));
    assertSucceeds(await chain.turn(3));
  });

  test('and that was undone with its snapback does not stand in the way', async () => {
    const chain = await begun();
    const undo = join(folder, `undo-${count++}`);
    assertSucceeds(plainSync(chain.destination, '--snapback', undo));
    await assertRefused(chain, /not a run of this chain/);
    const undone = lvmsync(['--apply', undo, chain.destination]);
    assertSucceeds(undone);
    assert.doesNotMatch(undone.stderr, WARNED);
    chain.assertHolds(1);
    assertSucceeds(await chain.turn(2));
    assertSucceeds(rollback(chain));
    chain.assertHolds(1);
  });

  test('stays in the way where another run wrote before it was undone', async () => {
    const chain = await begun();
    const undo = join(folder, `undo-${count++}`);
    assertSucceeds(plainSync(chain.destination, '--snapback', undo));
    assertSucceeds(plainSync(chain.destination));
    const words = ['--apply', undo, chain.destination];
    assertFails(lvmsync(words), 12, /after the run that this snapback undoes/);
    assertSucceeds(lvmsync([...words, '--force']));
    await assertRefused(chain, /not a run of this chain/);
  });

  test('is noticed also when it knew the copy by another name', async () => {
    const chain = await begun();
    const name = `${chain.destination}-other`;
    linkSync(chain.destination, name);
    assert.match(plainSync(name).stderr, WARNED);
    await assertRefused(chain, /not a run of this chain/);
  });

  test('that had nothing to write does not stand in the way', async () => {
    const chain = await begun();
    const words = await chain.words(2, { groups: [] });
    const stream = words[1] ?? '';
    assertSucceeds(lvmsync(['--apply', stream, chain.destination]));
    assertSucceeds(await chain.turn(2));
  });
});

describe('F34: chains', () => {
  test('of which two have one copy: the one that did not write last is refused', async () => {
    const chain = await begun();
    const other = await laboratory(chain.destination);
    assertFails(await other.turn(0), 12, /it is the copy of the chain in /);
    chain.assertHolds(1);
    const first = await other.turn(0, ['--force']);
    assertSucceeds(first);
    assert.match(first.stderr, WARNED);
    await assertRefused(chain, /a run of the chain in /);
    assertSucceeds(await other.turn(1));
    other.assertHolds(1);
    assertSucceeds(rollback(other));
    other.assertHolds(0);
  });

  test('that were put back from a backup are refused: their copy has gone on', async () => {
    const chain = await begun();
    const backup = `${chain.chain}-backup`;
    cpSync(chain.chain, backup, { recursive: true });
    assertSucceeds(await chain.turn(2));
    rmSync(chain.chain, { recursive: true });
    renameSync(backup, chain.chain);
    await assertRefused(chain, /which the record of this chain does not know/);
  });

  test('that were moved go on', async () => {
    const chain = await begun();
    const moved = `${chain.chain}-moved`;
    renameSync(chain.chain, moved);
    const words = (await chain.words(2)).map((word) => (word === chain.chain ? moved : word));
    const result = lvmsync(words);
    assertSucceeds(result);
    assert.doesNotMatch(result.stderr, /WARNING/i);
    chain.assertHolds(2);
  });

  test('of a program that kept no registry go on, with one warning', async () => {
    const chain = await begun();
    const path = join(chain.chain, 'chain.json');
    const { writer, ...former } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    assert.ok(writer !== undefined);
    writeFileSync(path, JSON.stringify(former));
    for (const entry of entriesOf(chain.destination)) rmSync(entry);
    const [second, third] = [await chain.turn(2), await chain.turn(3)];
    for (const result of [second, third]) assertSucceeds(result);
    assert.match(second.stderr, /it has no entry in the registry of copies/);
    assert.doesNotMatch(third.stderr, /registry/);
    writeFileSync(path, readFileSync(path, 'utf8').replace(/,\s*"writer": \{[^}]*\}/, ''));
    assertSucceeds(await chain.turn(4));
  });

  const skip = canTrace() ? false : 'strace is not permitted here';
  test('whose turn is killed before any of its renames are not locked out', { skip }, async () => {
    const chain = await begun();
    let killed = 0;
    for (let nth = 1; nth <= 10; nth++) {
      const words = await chain.words(2);
      const inject = `inject=rename:signal=KILL:when=${nth}`;
      const traced = ['strace', '-f', '-o', '/dev/null', '-e', 'trace=rename', '-e', inject];
      if (runTool([...traced, process.execPath, CLI, ...words]).status === 0) break;
      killed++;
      const again = await chain.turn(2);
      if (again.status !== 0) assert.match(again.stderr, /the destination holds .*\(point-2\)/);
      chain.assertHolds(2, `killed before rename ${nth}`);
      assertSucceeds(rollback(chain));
      chain.assertHolds(1);
    }
    // Two claims of the lock, the record, the entry, the record, the entry.
    assert.equal(killed, 6);
  });

  test('whose entry is damaged know of a plain run all the same, which is warned', async () => {
    const chain = await begun();
    for (const path of entriesOf(chain.destination)) {
      writeFileSync(path, '{"version":1');
    }
    const result = plainSync(chain.destination);
    assertSucceeds(result);
    assert.match(result.stderr, /its entry in the registry of copies cannot be understood: if it/);
    assertFails(await chain.turn(2), 12, /which is not a run of this chain/);
  });

  test('whose entry is damaged go on, with one warning', async () => {
    const chain = await begun();
    const [entry = ''] = entriesOf(chain.destination);
    writeFileSync(entry, '{"version":1');
    const [second, third] = [await chain.turn(2), await chain.turn(3)];
    for (const result of [second, third]) assertSucceeds(result);
    assert.match(second.stderr, /its entry cannot be understood in the registry of copies/);
    assert.doesNotMatch(third.stderr, /registry/);
  });

  test('have an entry that says where they are', async () => {
    const chain = await begun();
    const entries = entriesOf(chain.destination).map((path) =>
      JSON.parse(readFileSync(path, 'utf8')),
    );
    assert.equal(entries.length, 1);
    assert.equal(entries[0].chain, realpathSync(chain.chain));
    assert.equal(entries[0].path, chain.destination);
  });
});

const WRITTEN = /something else wrote to it since the last run of this chain, such as a mount/;

/** As a mount of it would. */
function overwrite(path: string): void {
  const content = readFileSync(path);
  content.fill('journal ', 0, 4096);
  writeFileSync(path, content);
}

describe('F34: a copy that something else wrote to after a run that could not finish', () => {
  test('takes the cut off run no further unless that is forced, nor is it undone', async () => {
    const chain = await begun();
    await chain.cutOff(2, 2);
    overwrite(chain.destination);
    assertFails(await chain.turn(2), 12, WRITTEN);
    assertFails(rollbackBy(chain, '0'), 12, WRITTEN);
    const { mismatch, remedy } = chain.survey();
    assert.match(mismatch ?? '', WRITTEN);
    assert.match(remedy ?? '', /run the cycle once with --compare/);
    assertSucceeds(await chain.turn(2, ['--force']));
    assertSucceeds(await chain.turn(3));
  });

  test('is not taken for one where nothing did', async () => {
    const chain = await begun();
    await chain.cutOff(2, 1);
    await chain.cutOff(2, 2);
    const undo = join(folder, `undo-${count++}`);
    assertSucceeds(plainSync(chain.destination, '--snapback', undo));
    assertFails(await chain.turn(2), 12, /which is not a run of this chain/);
    assertSucceeds(lvmsync(['--apply', undo, chain.destination]));
    const { stderr } = await chain.turn(2);
    assert.doesNotMatch(stderr, /WARNING/);
    chain.assertHolds(2);
    await chain.cutOff(3, 1);
    assertSucceeds(rollbackBy(chain, '1'));
    chain.assertHolds(1);
    assertSucceeds(rollbackBy(chain, '--redo'));
    assertSucceeds(await chain.turn(3));
    chain.assertHolds(3);
  });

  const skip = canTrace() ? false : 'strace is not permitted here';
  for (const going of ['back', 'forward again']) {
    test(`is not taken further ${going} unless that is forced`, { skip }, async () => {
      const chain = await begun();
      assertSucceeds(await chain.turn(2));
      const way = going === 'back' ? '1' : '--redo';
      if (way === '--redo') assertSucceeds(rollbackBy(chain, '1'));
      assert.equal((await traced(chain, wordsBack(chain, way), 'error=EIO')).status, 13);
      overwrite(chain.destination);
      assertFails(rollbackBy(chain, way), 12, WRITTEN);
      assertSucceeds(lvmsync([...wordsBack(chain, way), '--force']));
    });
  }

  test('is told of where the run was killed', { skip }, async () => {
    const chain = await begun();
    const { signal } = await traced(chain, await chain.words(2), 'signal=KILL');
    assert.equal(signal, 'SIGKILL');
    const { status, stderr } = await chain.turn(2);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /the run before was killed, or could not note how it left the copy/);
    chain.assertHolds(2);
  });

  test('is found by an older record, whose last run another program took further', async () => {
    const chain = await begun();
    await chain.cutOff(2, 2);
    const path = join(chain.chain, 'chain.json');
    const record = JSON.parse(readFileSync(path, 'utf8'));
    // That program names its run and keeps a field that it does not know.
    const writer = { ...record.writer, run: 'another', before: record.writer.run };
    writeFileSync(path, JSON.stringify({ ...record, writer }));
    overwrite(chain.destination);
    const { status, stderr } = await chain.turn(2);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /the run before was killed/);
  });
});

describe('F34: a copy that was written by what notes it nowhere', () => {
  test('takes no turn or rollback unless that is forced', async () => {
    const chain = await begun();
    overwrite(chain.destination);
    await assertRefused(chain, WRITTEN);
    assertSucceeds(await chain.turn(2, ['--force']));
    assertSucceeds(await chain.turn(3));
    assertSucceeds(rollback(chain));
    overwrite(chain.destination);
    assertFails(rollback(chain), 12, WRITTEN);
    assertSucceeds(rollback(chain, '--force'));
  });

  test('is noticed without an entry in the registry', async () => {
    const chain = await begun();
    for (const entry of entriesOf(chain.destination)) rmSync(entry);
    overwrite(chain.destination);
    assertFails(await chain.turn(2), 12, WRITTEN);
  });

  test('is noticed where a run wrote to it while it had another name', async () => {
    const chain = await begun();
    const elsewhere = `${chain.destination}-elsewhere`;
    renameSync(chain.destination, elsewhere);
    assertSucceeds(plainSync(elsewhere));
    renameSync(elsewhere, chain.destination);
    assertFails(await chain.turn(2), 12, WRITTEN);
  });

  test('is noticed where another file has its name', async () => {
    const chain = await begun();
    const former = `${chain.destination}-former`;
    renameSync(chain.destination, former);
    cpSync(former, chain.destination);
    assertFails(await chain.turn(2), 12, WRITTEN);
    renameSync(former, chain.destination);
    assertSucceeds(await chain.turn(2));
  });

  for (const when of ['before', 'after'] as const) {
    test(`${when} a run that was undone is not taken for restored`, async () => {
      const chain = await begun();
      const undo = join(folder, `undo-${count++}`);
      if (when === 'before') overwrite(chain.destination);
      assertSucceeds(plainSync(chain.destination, '--snapback', undo));
      const words = ['--apply', undo, chain.destination];
      if (when === 'after') {
        overwrite(chain.destination);
        assertFails(lvmsync(words), 12, /something else wrote to it since the run that this snap/);
        words.push('--force');
      }
      const undone = lvmsync(words);
      assertSucceeds(undone);
      const said = /^WARNING: --force overrides: .*something else wrote to it/m;
      assert.equal(said.test(undone.stderr), when === 'after', undone.stderr);
      assertFails(await chain.turn(2), 12, WRITTEN);
      // What was written before it is no reason to refuse the same undo file once more; what is written now is one.
      const again = ['--apply', undo, chain.destination];
      assertSucceeds(lvmsync(again));
      overwrite(chain.destination);
      assertFails(lvmsync(again), 12, /something else wrote to it since the run that this snap/);
      assertFails(await chain.turn(2), 12, WRITTEN);
    });
  }
});

describe('F34: a chain goes on where the registry only lags behind:', () => {
  function undo(chain: ChainLaboratory, name: string): void {
    assertSucceeds(lvmsync(['--apply', name, chain.destination]));
  }

  test('a plain run was undone twice', async () => {
    const chain = await begun();
    const name = join(folder, `undo-${count++}`);
    assertSucceeds(plainSync(chain.destination, '--snapback', name));
    undo(chain, name);
    undo(chain, name);
    assertSucceeds(await chain.turn(2));
  });

  test('two plain runs were undone, the last one first', async () => {
    const chain = await begun();
    const names = ['first', 'second'].map((word) => join(folder, `undo-${count}-${word}`));
    count++;
    for (const name of names) assertSucceeds(plainSync(chain.destination, '--snapback', name));
    for (const name of names.reverse()) undo(chain, name);
    chain.assertHolds(1);
    assertSucceeds(await chain.turn(2));
  });

  test('but not where the first of two plain runs was undone only', async () => {
    const chain = await begun();
    const names = ['first', 'second'].map((word) => join(folder, `undo-${count}-${word}`));
    count++;
    for (const name of names) assertSucceeds(plainSync(chain.destination, '--snapback', name));
    const words = ['--apply', names[0] ?? '', chain.destination];
    assertFails(lvmsync(words), 12, /after the run that this snapback undoes/);
    assertSucceeds(lvmsync([...words, '--force']));
    assertFails(await chain.turn(2), 12, /which is not a run of this chain/);
  });

  const skip = canTrace() ? false : 'strace is not permitted here';
  test('a turn was killed before its last word to it, and a plain run undone', {
    skip,
  }, async () => {
    const chain = await begun();
    const words = await chain.words(2);
    const inject = 'inject=rename:signal=KILL:when=6';
    const traced = ['strace', '-f', '-o', '/dev/null', '-e', 'trace=rename', '-e', inject];
    assert.notEqual(runTool([...traced, process.execPath, CLI, ...words]).status, 0);
    assert.equal(chain.survey().point?.uuid, 'point-2');
    const name = join(folder, `undo-${count++}`);
    assertSucceeds(plainSync(chain.destination, '--snapback', name));
    undo(chain, name);
    assertSucceeds(await chain.turn(3));
  });

  test('it was another one for a while', async () => {
    const chain = await begun();
    const former = entriesOf(chain.destination).map((path) => [path, readFileSync(path)] as const);
    assertSucceeds(await chain.turn(2));
    for (const [path, content] of former) writeFileSync(path, content);
    assertSucceeds(await chain.turn(3));
    chain.assertHolds(3);
  });

  test('a program that does not know the marks went back', async () => {
    const chain = await begun();
    assertSucceeds(await chain.turn(2));
    const path = join(chain.chain, 'chain.json');
    const { left } = JSON.parse(readFileSync(path, 'utf8'));
    assert.ok(left !== undefined);
    assertSucceeds(rollback(chain));
    // It leaves what it does not know as it was.
    const record = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ ...record, left }));
    for (const entry of entriesOf(chain.destination)) rmSync(entry);
    const undone = lvmsync(['rollback', '--redo', chain.destination, chain.chain]);
    assertSucceeds(undone);
    assertSucceeds(await chain.turn(3));
  });
});

describe('F34: what a run that failed, or an undo of it, notes of the copy', () => {
  /** A stream to the copy that ends too early. */
  function fails(path: string, ...words: string[]): void {
    const stream = join(folder, `cut-${count++}`);
    const fd = openSync(stream, 'w');
    lvmsync(['--stdout', ...source.words], { stdio: ['ignore', fd, 'pipe'] });
    closeSync(fd);
    truncateSync(stream, statSync(stream).size - 10);
    assertFails(lvmsync(['--apply', stream, ...words, path]), 14, /cut off/);
  }

  test('shows what else was written before it is undone', async () => {
    const chain = await begun();
    const undo = join(folder, `undo-${count++}`);
    fails(chain.destination, '--snapback', undo);
    overwrite(chain.destination);
    assertFails(lvmsync(['--apply', undo, chain.destination]), 12, /something else wrote to it/);
    assertSucceeds(lvmsync(['--apply', undo, chain.destination, '--force']));
    assertFails(await chain.turn(2), 12, WRITTEN);
  });

  test('and hinders nobody where nothing else was', async () => {
    const chain = await begun();
    const undo = join(folder, `undo-${count++}`);
    fails(chain.destination, '--snapback', undo);
    const undone = lvmsync(['--apply', undo, chain.destination]);
    assertSucceeds(undone);
    assert.doesNotMatch(undone.stderr, /WARNING/);
    assertSucceeds(await chain.turn(2));
  });

  test('shows it between the parts of several streams', () => {
    const large = scratchFolder();
    const chunks = Array.from({ length: 4096 }, (_, chunk) => chunk);
    const { words, former } = offlineSource(large, { size: 16 << 20, changedChunks: chunks });
    mkdirSync(join(large, 'bin'));
    writeLvmsync(join(large, 'bin'));
    const rsh = ['--rsh', fakeRsh(large, loginShell()).command];
    const [path, undo] = [join(large, 'copy'), join(large, 'undo')];
    writeFileSync(path, former);
    assertSucceeds(lvmsync([...words, ...rsh, '--streams', '2', '--snapback', undo, `h:${path}`]));
    const [first, second] = [`${undo}.1-of-2`, `${undo}.2-of-2`];
    assertSucceeds(lvmsync(['--apply', second, path]));
    overwrite(path);
    assertFails(lvmsync(['--apply', first, path]), 12, /something else wrote to it/);
    assertSucceeds(lvmsync(['--apply', first, path, '--force']));
  });

  test('an undo file is not applied again after runs of the chain', async () => {
    const chain = await begun();
    const undo = join(folder, `undo-${count++}`);
    assertSucceeds(plainSync(chain.destination, '--snapback', undo));
    assertSucceeds(lvmsync(['--apply', undo, chain.destination]));
    for (const turn of [2, 3]) assertSucceeds(await chain.turn(turn));
    assertFails(lvmsync(['--apply', undo, chain.destination]), 12, /after the run that this snap/);
    chain.assertHolds(3);
  });
});

describe('F34: the links of a chain, applied by hand', () => {
  /** The newest first. */
  function linksOf({ chain }: ChainLaboratory): string[] {
    const names = readdirSync(chain).filter((name) => name.endsWith('.snapback'));
    return names
      .sort()
      .reverse()
      .map((name) => join(chain, name));
  }

  function apply(chain: ChainLaboratory, link: string, ...words: string[]): CliResult {
    return lvmsync(['--apply', link, chain.destination, ...words]);
  }

  async function atThree(): Promise<{ chain: ChainLaboratory; links: string[] }> {
    const chain = await laboratory();
    await chain.advanceTo(3);
    return { chain, links: linksOf(chain) };
  }

  test('lead back one after the other, the newest first, each as often as one likes', async () => {
    const { chain, links } = await atThree();
    for (const [index, link] of links.entries()) {
      for (let time = 0; time < 2; time++) assertSucceeds(apply(chain, link));
      chain.assertHolds(2 - index);
    }
    assertFails(await chain.turn(4), 12, /which is not a run of this chain/);
  });

  for (const [what, prepare] of [
    ['with the record of the chain', () => undefined],
    ['without it', ({ chain }: ChainLaboratory) => rmSync(join(chain, 'chain.json'))],
    [
      'without the registry',
      (chain: ChainLaboratory) => {
        for (const entry of entriesOf(chain.destination)) rmSync(entry);
      },
    ],
  ] as const) {
    test(`are refused in another order, ${what}`, async () => {
      const { chain, links } = await atThree();
      prepare(chain);
      const [third = '', second = '', first = ''] = links;
      const message = /next snapback of its chain to be undone is|has to be applied first/;
      for (const link of [second, first]) {
        assertFails(apply(chain, link), 12, message);
        assertFails(apply(chain, link, '--dry-run'), 12, message);
      }
      chain.assertHolds(3);
      assertSucceeds(apply(chain, third));
      assertFails(apply(chain, first), 12, message);
      assertSucceeds(apply(chain, second));
      assertFails(
        apply(chain, third),
        12,
        /after the run that this snapback undoes|to be undone is/,
      );
      chain.assertHolds(1);
      const forced = apply(chain, third, '--force');
      assertSucceeds(forced);
      assert.match(forced.stderr, /^WARNING: --force overrides: /m);
    });
  }

  test('are refused from wherever they come, but for the next one', async () => {
    const { chain, links } = await atThree();
    const [third = '', second = ''] = links;
    const copied = join(folder, `elsewhere-${count++}`);
    cpSync(second, copied);
    const message = /the next snapback of its chain to be undone is 2026-11-23T03-00-00Z\.snapback/;
    assertFails(apply(chain, copied), 12, message);
    assertFails(lvmsync(['--apply', '-', chain.destination], { stdinFile: second }), 12, message);
    const cut = readFileSync(third).subarray(0, -700);
    writeFileSync(copied, cut);
    assertFails(apply(chain, copied), 14, /although its run had finished/);
    assertSucceeds(rollbackBy(chain, '1'));
    const [undone = ''] = readdirSync(chain.chain).filter((one) => one.startsWith('undone-'));
    const moved = join(chain.chain, undone, '2026-11-23T03-00-00Z.snapback');
    assertFails(apply(chain, moved), 12, /the next snapback of its chain to be undone is/);
    chain.assertHolds(2);
    assertSucceeds(apply(chain, second));
    chain.assertHolds(1);
  });

  test('the snapback of a rollback, too, which it takes back', async () => {
    const { chain } = await atThree();
    assertSucceeds(rollbackBy(chain, '2'));
    const [undone = ''] = readdirSync(chain.chain).filter((one) => one.startsWith('undone-'));
    assertSucceeds(apply(chain, join(chain.chain, undone, 'redo.snapback')));
    assert.ok(readFileSync(chain.destination).equals(chain.states[3] ?? assert.fail()));
  });

  test('are not what a stream with restore points is taken for: it notes nothing without a chain', async () => {
    const chain = await laboratory();
    const path = join(folder, `alone-${count++}`);
    writeFileSync(path, chain.states[0] ?? assert.fail());
    assertSucceeds(lvmsync(['--apply', await chain.stream(1), path]));
    assert.deepEqual(entriesOf(path), []);
  });

  test('can be applied again where that was interrupted', async () => {
    const { chain, links } = await atThree();
    const [third = ''] = links;
    const part = join(folder, `part-${count++}`);
    writeFileSync(part, readFileSync(third).subarray(0, -20_000));
    const script = 'cat "$2" | "$0" "$1" --apply - "$3"';
    const piped = runTool(['sh', '-c', script, process.execPath, CLI, part, chain.destination]);
    assert.notEqual(piped.status, 0);
    assertSucceeds(apply(chain, third));
    chain.assertHolds(2);
  });

  test('are refused where something else wrote', async () => {
    const { chain, links } = await atThree();
    assertSucceeds(plainSync(chain.destination));
    assertFails(apply(chain, links[0] ?? ''), 12, /after the run that this snapback undoes/);
    const other = await atThree();
    overwrite(other.chain.destination);
    assertFails(apply(other.chain, other.links[0] ?? ''), 12, /something else wrote to it since/);
    assertSucceeds(apply(other.chain, other.links[0] ?? '', '--force'));
    overwrite(other.chain.destination);
    assertFails(apply(other.chain, other.links[1] ?? ''), 12, /something else wrote to it since/);
  });

  test('are refused where they lost their end since their runs finished', async () => {
    const { chain, links } = await atThree();
    for (const [index, link] of links.slice(0, 2).entries()) {
      const whole = readFileSync(link);
      writeFileSync(link, whole.subarray(0, whole.length - 700));
      assertFails(apply(chain, link), 14, /although its run had finished/);
      const seen = lvmsync(['inspect', link]);
      assert.equal(seen.status, 14, seen.stderr);
      assert.match(String(seen.stdout), /cannot be applied completely: .*although its run had fin/);
      chain.assertHolds(3 - index);
      writeFileSync(link, whole);
      assertSucceeds(apply(chain, link));
    }
  });
});

describe('F34: what lies in the folder of a rollback', () => {
  async function wentBack(): Promise<{ chain: ChainLaboratory; undone: string }> {
    const chain = await begun();
    assertSucceeds(rollback(chain));
    const [name = ''] = readdirSync(chain.chain).filter((one) => one.startsWith('undone-'));
    return { chain, undone: join(chain.chain, name) };
  }

  function redo(chain: ChainLaboratory): CliResult {
    return lvmsync(['rollback', '--redo', chain.destination, chain.chain]);
  }

  test('and is not its own stays where that is taken back', async () => {
    const { chain, undone } = await wentBack();
    writeFileSync(join(undone, 'mine'), 'mine');
    assertSucceeds(redo(chain));
    assert.equal(readFileSync(join(undone, 'mine'), 'utf8'), 'mine');
    assertSucceeds(await chain.turn(2));
  });

  test('replaces no link of the chain', async () => {
    const { chain, undone } = await wentBack();
    const [link = ''] = readdirSync(undone).filter((name) => name.startsWith('2'));
    writeFileSync(join(chain.chain, link), 'mine');
    assertFails(redo(chain), 16, /has a file of that name/);
    assert.equal(readFileSync(join(chain.chain, link), 'utf8'), 'mine');
    rmSync(join(chain.chain, link));
    assertSucceeds(redo(chain));
    chain.assertHolds(1);
  });

  const skip = canTrace() ? false : 'strace is not permitted here';
  test('is named where taking it back is killed before it is removed', { skip }, async () => {
    const { chain } = await wentBack();
    const words = ['rollback', '--redo', chain.destination, chain.chain];
    // The last but one: as the registry is told.
    const inject = 'inject=rename:signal=KILL:when=7';
    const traced = ['strace', '-f', '-o', '/dev/null', '-e', 'trace=rename', '-e', inject];
    runTool([...traced, process.execPath, CLI, ...words]);
    chain.assertHolds(1);
    const { leftover } = chain.survey() as unknown as { leftover: readonly string[] };
    assert.ok(leftover.length > 0, 'it is named');
    assertSucceeds(await chain.turn(2, ['--keep', '5']));
    assert.deepEqual(
      readdirSync(chain.chain).filter((name) => name.startsWith('undone-')),
      [],
    );
  });
});

test('F34: a chain is not taken for damaged while a turn changes it', async () => {
  const chain = await begun();
  const answers: number[] = [];
  for (const point of [2, 3, 4]) {
    const words = await chain.words(point);
    const running = startLvmsync(words);
    while (running.child.exitCode === null) {
      answers.push(lvmsync(['chain', '--json', chain.chain, chain.destination]).status ?? -1);
      await sleep(1);
    }
    assertSucceeds(await running.ended);
  }
  assert.deepEqual(
    answers.filter((status) => status !== 0),
    [],
    `of ${answers.length}`,
  );
});

describe('F34: undo files of a copy of no chain', () => {
  const skip = canTrace() ? false : 'strace is not permitted here';
  test('undo a run that was killed, and then the one before it', { skip }, async () => {
    const path = join(folder, `plain-${count++}`);
    writeFileSync(path, random.bytes(SPEC.size));
    const before = readFileSync(path);
    const [first, second] = [`${path}-first`, `${path}-second`];
    assertSucceeds(plainSync(path, '--snapback', first));
    const other = offlineSource(folder, { size: SPEC.size, changedChunks: [7, 9, 11] });
    const words = [...other.words, '--snapback', second, path];
    // After the first write to the destination is done, its flush.
    const inject = 'inject=fsync:signal=KILL:when=3';
    const traced = ['strace', '-f', '-o', '/dev/null', '-e', 'trace=fsync', '-e', inject];
    assert.notEqual(runTool([...traced, process.execPath, CLI, ...words]).status, 0);
    assert.ok(existsSync(second), 'it had begun');
    assertSucceeds(lvmsync(['--apply', second, path]));
    assertSucceeds(lvmsync(['--apply', first, path]));
    assert.ok(readFileSync(path).equals(before));
  });

  test('are taken in the right order only, also after a run that was killed', async () => {
    const path = join(folder, `plain-${count++}`);
    writeFileSync(path, random.bytes(SPEC.size));
    const states: Buffer[] = [];
    const names = ['first', 'second', 'third'].map((word) => `${path}-${word}`);
    for (const name of names) {
      states.push(readFileSync(path));
      assertSucceeds(plainSync(path, '--snapback', name));
      if (name !== names.at(-1)) overwrite(path);
    }
    for (const name of names.slice(0, 2)) {
      const before = readFileSync(path);
      for (const more of [[], ['--dry-run']]) {
        const applied = lvmsync(['--apply', name, path, ...more]);
        assertFails(applied, 12, /after the run that this snapback undoes/);
      }
      assert.ok(readFileSync(path).equals(before));
    }
    const [last = '', ...earlier] = names.reverse();
    assertSucceeds(lvmsync(['--apply', last, path]));
    // What was written between the runs is not in their undo files.
    for (const name of earlier) {
      const words = ['--apply', name, path];
      assertFails(lvmsync(words), 12, /something else wrote to it since the run that this/);
      assertSucceeds(lvmsync([...words, '--force']));
    }
    // One that was undone is not taken for one of a later run.
    assertSucceeds(plainSync(path, '--snapback', `${path}-fourth`));
    assertFails(
      lvmsync(['--apply', last, path]),
      12,
      /was already undone, and another run was undone after it|after the run that this snap/,
    );
  });
});

for (const history of ['a turn', 'a rollback'] as const) {
  test(`F34: a copy that was put back to an older state after ${history} is refused, whoever put it back`, async () => {
    const chain = await begun();
    if (history === 'a rollback') {
      assertSucceeds(await chain.turn(2));
      assertSucceeds(rollback(chain));
    }
    const state = chain.states[0] ?? assert.fail();
    // As the merge of a snapshot of a volume does it: what counts writes says nothing.
    writeFileSync(chain.destination, state);
    const path = join(chain.chain, 'chain.json');
    const record = JSON.parse(readFileSync(path, 'utf8'));
    const { mark, ...left } = record.left;
    assert.ok(mark !== undefined && left.spots.length > 0);
    writeFileSync(path, JSON.stringify({ ...record, left }));
    for (const entry of entriesOf(chain.destination)) rmSync(entry);
    await assertRefused(chain, /or the merge of a snapshot/);
  });
}
