/** A file that a run reads, named once more as one that it writes: under any name it is refused whole. */

import assert from 'node:assert/strict';
import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { listNames, readLink, readText } from '../../src/host/virtual-files.js';
import { ChainLaboratory } from '../helpers/chain/chain-laboratory.js';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  type CliResult,
  lvmsync,
  runTool,
  startLvmsync,
} from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
const CHUNKS = 256;
/** All of it has changed, so that an undo file is larger than what it undoes. */
const source = offlineSource(folder, {
  chunkSize: 4096,
  size: CHUNKS * 4096,
  changedChunks: Array.from({ length: CHUNKS }, (_, chunk) => chunk),
});
let count = 0;

function fresh(): string {
  return join(folder, `file-${count++}`);
}

function copy(content: Buffer | string = source.former): string {
  const path = fresh();
  writeFileSync(path, content);
  return path;
}

/** The undo file of a run. */
function undoFile(): string {
  const path = fresh();
  assertSucceeds(lvmsync([...source.words, '--snapback', path, copy()]));
  return path;
}

function withStdin(path: string, words: readonly string[]): CliResult {
  const fd = openSync(path, 'r');
  try {
    return lvmsync(words, { stdio: [fd, 'pipe', 'pipe'] });
  } finally {
    closeSync(fd);
  }
}

/** Standard output is opened as `1<>` and `>>` do it, so that the shell does not empty it. */
function withStdout(path: string, flags: 'r+' | 'a', words: readonly string[]): CliResult {
  const fd = openSync(path, flags);
  try {
    return lvmsync(words, { stdio: ['ignore', fd, 'pipe'] });
  } finally {
    closeSync(fd);
  }
}

function loopOn(path: string, context: TestContext): string | undefined {
  const { status, stdout } = runTool(['losetup', '-f', '--show', path]);
  if (status !== 0) {
    context.skip('no loop device can be attached here');
    return undefined;
  }
  const device = stdout.toString().trim();
  context.after(() => runTool(['losetup', '-d', device]));
  return device;
}

function assertRefused(result: CliResult, path: string, before: Buffer, message: RegExp): void {
  assertFails(result, 12, message);
  assert.ok(readFileSync(path).equals(before), 'the file is as it was');
}

const IS_INPUT = /is the changes file, which this run reads/;

describe('F5: a changes file that is its own destination is refused', () => {
  const names: readonly [what: string, name: (path: string) => string][] = [
    ['its own name', (path) => path],
    ['a symbolic link', (path) => link(path, symlinkSync)],
    ['a hard link', (path) => link(path, linkSync)],
  ];
  function link(path: string, make: (path: string, name: string) => void): string {
    const name = fresh();
    make(path, name);
    return name;
  }

  for (const [what, name] of names) {
    test(`by ${what}`, () => {
      const path = undoFile();
      const before = readFileSync(path);
      for (const dryRun of [[], ['--dry-run'], ['--force']]) {
        const words = [...dryRun, '--apply', path, name(path)];
        assertRefused(lvmsync(words), path, before, IS_INPUT);
      }
      const words = ['--apply', '-', name(path)];
      assertRefused(withStdin(path, words), path, before, IS_INPUT);
    });
  }

  test('by a loop device on it, and the other way round', (context) => {
    const path = undoFile();
    const before = readFileSync(path);
    const loop = loopOn(path, context);
    if (loop === undefined) return;
    const built = /is built on the changes file/;
    assertRefused(lvmsync(['--apply', path, loop]), path, before, built);
    const carries = /carries the data of the changes file/;
    assertRefused(lvmsync(['--apply', loop, path]), path, before, carries);
  });

  test('a snapback that is the changes file, or carries the destination', (context) => {
    const path = undoFile();
    const before = readFileSync(path);
    const words = ['--force', '--apply', path, '--snapback', path, '--snapback-overwrite', copy()];
    assertFails(lvmsync(words), 16, /this is the changes file/);
    assert.ok(readFileSync(path).equals(before));
    const disk = copy();
    const loop = loopOn(disk, context);
    if (loop === undefined) return;
    const onDisk = [...source.words, '--snapback', disk, '--snapback-overwrite', loop];
    for (const dryRun of [[], ['--dry-run']]) {
      assertFails(lvmsync([...dryRun, ...onDisk]), 16, /this carries the destination/);
      assert.ok(readFileSync(disk).equals(source.former));
    }
  });
});

describe('F5: standard output that is what a run reads is refused', () => {
  const outputs: readonly [what: string, path: () => string][] = [
    ['the data source', () => source.data],
    ['the COW store', () => source.cowStore],
  ];
  for (const [what, path] of outputs) {
    for (const flags of ['r+', 'a'] as const) {
      test(`${what}, opened with ${flags}`, () => {
        const before = readFileSync(path());
        const result = withStdout(path(), flags, [...source.words, '--stdout']);
        assertRefused(result, path(), before, /^FATAL ERROR: standard output is the /);
      });
    }
  }

  test('a file that inspect looks at', () => {
    const path = undoFile();
    const before = readFileSync(path);
    const result = withStdout(path, 'a', ['inspect', path]);
    assertRefused(result, path, before, /this file is also standard output/);
  });
});

describe('F5: a file of a chain', () => {
  test('is no destination of a rollback, nor of an apply to the chain', async () => {
    const spec = { size: 64 * 1024, chunkSize: 4096, turns: 2, changedChunks: 3 };
    const lab = new ChainLaboratory(fresh(), spec, new Random());
    await lab.advanceTo(1);
    const [name = ''] = readdirSync(lab.chain).filter((one) => one.endsWith('.snapback'));
    const path = join(lab.chain, name);
    const before = readFileSync(path);
    const result = lvmsync(['rollback', '--force', '--steps', '1', path, lab.chain]);
    assertRefused(result, path, before, /is a file of the chain/);
    const words = await lab.words(2);
    const turn = lvmsync(['--force', ...words.slice(0, -1), path]);
    assertRefused(turn, path, before, /is a file of the chain/);
  });

  test('may lie beside the copy, which is none of them', async () => {
    const spec = { size: 64 * 1024, chunkSize: 4096, turns: 1, changedChunks: 3 };
    const folder = fresh();
    mkdirSync(folder);
    const destination = join(folder, 'copy');
    const lab = new ChainLaboratory(fresh(), spec, new Random(), { destination, chain: folder });
    writeFileSync(destination, lab.before);
    for (const turn of [0, 1]) assertSucceeds(lvmsync(await lab.words(turn)));
    assertSucceeds(lvmsync(['rollback', '--steps', '1', destination, folder]));
    lab.assertHolds(0);
  });
});

describe('F5: the file of --metrics', () => {
  test('cannot be another file of the run', () => {
    const metrics = fresh();
    const destination = copy('');
    const undo = undoFile();
    const cases: readonly [path: string, words: readonly string[]][] = [
      [destination, [...source.words, destination]],
      [metrics, [...source.words, '--snapback', metrics, copy()]],
      [undo, ['--apply', undo, copy()]],
    ];
    for (const [path, words] of cases) {
      const result = lvmsync(['--metrics', path, ...words]);
      assertFails(result, 1, /--metrics: .*: (this run uses that file|it is not a metrics file)/);
      assert.match(result.stderr, /Nothing was done/);
    }
    assert.equal(readFileSync(destination).length, 0);
  });
});

function isWriting(pid: number | undefined, path: string): boolean {
  const folder = `/proc/${pid}`;
  return listNames(`${folder}/fd`).some((fd) => {
    const flags = /^flags:\s*[0-7]*[12]$/m;
    return (
      readLink(`${folder}/fd/${fd}`) === path &&
      flags.test(readText(`${folder}/fdinfo/${fd}`) ?? '')
    );
  });
}

describe('a file that is taken away while a run writes it', () => {
  const changes = readFileSync(undoFile());
  /** Applies `changes`, and does the deed when it has opened the file for writing. */
  async function meanwhile(
    words: readonly string[],
    path: string,
    deed: () => void,
  ): Promise<CliResult> {
    const run = startLvmsync(['-v', '--apply', '-', ...words]);
    run.child.stdin?.write(changes.subarray(0, changes.length - 100));
    try {
      while (run.child.exitCode === null && !isWriting(run.child.pid, path)) await delay(20);
      deed();
    } finally {
      run.child.stdin?.end(changes.subarray(changes.length - 100));
    }
    return run.ended;
  }

  test('and replaced, or removed, is no success, and no turn of a chain', async () => {
    for (const replace of [true, false]) {
      const path = copy();
      const result = await meanwhile(['--force', path], path, () => {
        renameSync(path, `${path}.moved`);
        if (replace) writeFileSync(path, source.former);
      });
      assertFails(result, 13, replace ? /another file now has its name/ : /it no longer exists/);
      assert.match(result.stderr, /was written to the file that had this name when the run began/);
    }
  });

  test('and was to undo it, is no success', async () => {
    const undo = fresh();
    const words = ['--force', '--snapback', undo, copy()];
    const result = await meanwhile(words, undo, () => rmSync(undo));
    assertFails(result, 16, /it was removed while it was being written/);
    assert.match(result.stderr, /^Everything was written and flushed\. The snapback is gone: /m);
    assert.doesNotMatch(result.stderr, /is incomplete|--apply/);
  });
});
