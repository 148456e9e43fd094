/** `--dry-run` with files: what it says, that it refuses what a run refuses, and that it writes nothing. */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { identityFromStat, lockKey } from '../../src/device/topology.js';
import { acquireRunLock } from '../../src/host/run-lock.js';
import { ChainLaboratory } from '../helpers/chain/chain-laboratory.js';
import { assertSucceeds, type CliResult, canTrace, lvmsync } from '../helpers/program/cli.js';
import { tracedLvmsync } from '../helpers/program/traced-cli.js';
import { Random } from '../helpers/random.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';

const fixture = new RemoteFixture();
const random = new Random();
let count = 0;
const fresh = (): string => fixture.path(`new-${count++}`);

const rsh = fixture.goodRsh().command;
/** Each way to a file: the words of the command line. */
const WAYS: readonly [way: string, to: (path: string) => string[]][] = [
  ['here', (path) => [path]],
  ['on another host', (path) => ['-e', rsh, `backup:${path}`]],
];

function fatalOf({ stderr }: CliResult): string[] {
  return stderr.split('\n').filter((line) => line.startsWith('FATAL ERROR: '));
}

interface Refusal {
  readonly title: string;
  readonly status: number;
  /** Makes it so; returns the destination and more options, which must not be changed by either run. */
  readonly make: () => Promise<{
    readonly path: string;
    readonly options?: readonly string[];
    readonly undo?: () => void;
  }>;
}

const REFUSALS: readonly Refusal[] = [
  { title: 'is missing', status: 12, make: async () => ({ path: fresh() }) },
  { title: 'is a directory', status: 12, make: async () => ({ path: fixture.folder }) },
  {
    title: 'has a snapback of that name already',
    status: 16,
    make: async () => {
      const snapback = fresh();
      writeFileSync(snapback, 'former');
      return { path: fixture.copy(), options: ['-b', snapback] };
    },
  },
  {
    title: 'has a snapback where there is no directory',
    status: 16,
    make: async () => ({ path: fixture.copy(), options: ['-b', join(fresh(), 'undo')] }),
  },
  {
    title: 'would be its own snapback',
    status: 16,
    make: async () => {
      const path = fixture.copy();
      return { path, options: ['-b', path, '--snapback-overwrite'] };
    },
  },
  {
    title: 'is being written by another run',
    status: 19,
    make: async () => {
      const path = fixture.copy();
      const identity = identityFromStat(statSync(path, { bigint: true }));
      assert.ok(identity !== undefined);
      const lock = await acquireRunLock(lockKey(identity), {
        path,
        command: 'lvmsync something else',
      });
      return { path, undo: () => lock.release() };
    },
  },
];

for (const [way, to] of WAYS) {
  describe(`a dry run to a destination ${way}`, () => {
    test('says what would be sent, ends with 0, and leaves everything as it was', () => {
      const path = fixture.copy();
      const snapback = fresh();
      const words = ['--dry-run', '-b', snapback, ...fixture.source, ...to(path)];
      const files = (): string[] =>
        readdirSync(fixture.folder).filter((name) => !name.endsWith('.argv'));
      const before = files();
      const result = lvmsync(words);
      assertSucceeds(result);
      const text = result.stdout.toString();
      assert.match(text, /^ {2}to be sent {2}284\.0 KiB \(290816 bytes\) in 5 extents, 1\.7% of/m);
      assert.match(text, /^ {2}destination .* can be written$/m);
      assert.match(text, /^ {2}snapback .* can be created, at most 284\.0 KiB$/m);
      assert.ok(fixture.isUntouched(path));
      assert.deepEqual(files(), before);
      assertSucceeds(lvmsync(words.slice(1)));
      assert.ok(fixture.isSynced(path), 'the run that was rehearsed does what it said');
    });

    test('takes the time from --bwlimit', () => {
      const words = ['--dry-run', '--bwlimit', '1K', ...fixture.source, ...to(fixture.copy())];
      const { stdout } = lvmsync(words);
      assert.match(stdout.toString(), /^ {2}time {8}about 4:44, limited by --bwlimit$/m);
    });

    for (const { title, status, make } of REFUSALS) {
      test(`that ${title} is refused as the run is`, async () => {
        const { path, options = [], undo } = await make();
        try {
          const words = [...fixture.source, ...options, ...to(path)];
          const dry = lvmsync(['--dry-run', ...words]);
          const real = lvmsync(words);
          assert.equal(dry.status, status, dry.stderr);
          assert.equal(real.status, status, real.stderr);
          const nameless = (text: string): string => text.replace(/\.\d{8}T\d{6}Z/, '');
          assert.deepEqual(fatalOf(dry).map(nameless), fatalOf(real).map(nameless));
        } finally {
          undo?.();
        }
      });
    }
  });
}

describe('a dry run', () => {
  test('opens nothing for writing', {
    skip: canTrace() ? false : 'strace does not work here',
  }, async () => {
    const path = fixture.copy();
    const calls = ['openat', 'open', 'creat', 'mkdir', 'rename', 'unlink', 'ftruncate', 'pwrite64'];
    const words = ['--dry-run', '-b', fresh(), ...fixture.source, path];
    const { trace, status, stderr } = await tracedLvmsync(words, {
      ...{ paths: [], calls, output: fixture.path('trace') },
    });
    assert.equal(status, 0, stderr);
    const lines = trace.split('\n').filter((line) => line !== '');
    assert.ok(
      lines.some((line) => line.includes(path)),
      'the trace sees the destination',
    );
    const writing = lines.filter((line) => !/ open(at)?\(.*O_RDONLY/.test(line));
    const harmless = /"\/dev\/(null|tty|shm\/sem\..*)"|<unfinished|resumed>|^\d+ (exit|\+\+\+)/;
    assert.deepEqual(
      writing.filter((line) => !harmless.test(line)),
      [],
    );
  });

  test('of a stream to standard output says it on standard error, and writes no stream', () => {
    const { status, stdout, stderr } = lvmsync(['--dry-run', '--stdout', ...fixture.source]);
    assert.equal(status, 0);
    assert.equal(stdout.length, 0);
    assert.match(stderr, /^ {2}to be sent {2}284\.0 KiB/m);
  });

  test('asks for the snapback of each of several streams', () => {
    const words = ['--dry-run', '--streams', '2', '-e', rsh, ...fixture.source];
    const path = fixture.copy();
    assertSucceeds(lvmsync([...words, '-b', fresh(), `backup:${path}`]));
    assert.ok(fixture.isUntouched(path));
  });

  test('where there is no lvmsync is refused with 17', () => {
    const words = ['--dry-run', '-e', rsh, '--remote-path', 'nothing', ...fixture.source];
    const result = lvmsync([...words, 'backup:/x']);
    assert.equal(result.status, 17);
    assert.match(result.stderr, /was not found \(status 127\)/);
  });

  test('says of a receiver that knows none that it cannot be asked', () => {
    const old = fixture.rsh('echo "invalid option: --dry-run" >&2; cat >/dev/null; exit 1').command;
    const result = lvmsync(['--dry-run', '-e', old, ...fixture.source, 'backup:/x']);
    assert.equal(result.status, 17, result.stderr);
    assert.match(
      result.stderr,
      /^remote:invalid option: --dry-run\nFATAL ERROR: backup: lvmsync there does not support --dry-run$/m,
    );
  });

  test('is answered, and nothing is written, where the login runs a receiver whatever the words are', () => {
    const undo = fresh();
    const copy = fixture.copy();
    const forced = fixture.rsh(`exec lvmsync --apply - --snapback ${undo} ${copy}`).command;
    const words = ['--dry-run', '-e', forced, ...fixture.source, 'backup:/x'];
    assertSucceeds(lvmsync(words));
    assert.ok(fixture.isUntouched(copy));
    assert.ok(!existsSync(undo));
    writeFileSync(undo, 'former');
    assert.equal(lvmsync(words).status, 16);
  });

  test('is not satisfied by a receiver that ends with 0 and says nothing', () => {
    const silent = fixture.rsh('cat >/dev/null').command;
    const result = lvmsync(['--dry-run', '-e', silent, ...fixture.source, 'backup:/x']);
    assert.equal(result.status, 17, result.stderr);
  });

  test('gives up a receiver that does not answer, after --timeout', () => {
    const hanging = fixture.rsh('exec sleep 600').command;
    const words = ['--dry-run', '--timeout', '1', '-e', hanging, ...fixture.source, 'backup:/x'];
    const result = lvmsync(words);
    assert.equal(result.status, 17, result.stderr);
    assert.match(result.stderr, /no answer for 1 s/);
  });
});

describe('a dry run of --apply', () => {
  test('looks at the file and the destination, and writes nothing', () => {
    const changes = fresh();
    const stream = lvmsync(['--stdout', ...fixture.source]).stdout;
    writeFileSync(changes, stream);
    const path = fixture.copy();
    const amount = /\(16\.0 MiB\) can be written, with 284\.0 KiB of changes\. This was a dry run/;
    for (const input of [changes, '-']) {
      // Of a pipe only the beginning is read.
      const words = ['--dry-run', '--apply', input, path];
      const result = lvmsync(words, { input: stream.subarray(0, 4096) });
      assertSucceeds(result);
      assert.match(result.stderr, amount);
    }
    assert.ok(fixture.isUntouched(path));
    const damaged = Buffer.from(stream);
    damaged[stream.length - 2000] = (damaged[stream.length - 2000] ?? 0) ^ 1;
    writeFileSync(changes, damaged);
    assert.equal(lvmsync(['--dry-run', '--apply', changes, path]).status, 15);
  });

  test('of the next turn of a chain takes what follows, and leaves the chain as it was', async () => {
    const chain = laboratory();
    await chain.advanceTo(1);
    const before = readdirSync(chain.chain).sort();
    assertSucceeds(await chain.turn(2, ['--dry-run']));
    assert.deepEqual(readdirSync(chain.chain).sort(), before);
    chain.assertHolds(1);
    assertSucceeds(await chain.turn(2));
    const again = await chain.turn(2, ['--dry-run']);
    assert.equal(again.status, 12, 'what was taken does not follow any more');
    assert.deepEqual(fatalOf(again), fatalOf(await chain.turn(2)));
  });

  test('of the beginning of a chain makes no directory', async () => {
    const chain = laboratory();
    assertSucceeds(await chain.turn(0, ['--dry-run']));
    assert.ok(!existsSync(chain.chain));
    chain.assertUntouched();
  });
});

function laboratory(): ChainLaboratory {
  const spec = { size: 1024 * 1024, chunkSize: 4096, turns: 2, changedChunks: 10 };
  const chain = new ChainLaboratory(fresh(), spec, random);
  chain.reset();
  return chain;
}
