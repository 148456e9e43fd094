import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { DrawnTests } from '../../helpers/faults/campaign.js';
import { assertFails, CLI, type CliResult, lvmsync, runTool } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { assertSameContent, saveContent, scattered, writeRandom } from '../harness/content.js';
import { withThickCopy, withThinCopy } from '../harness/copies.js';
import { KiB, type LogicalVolume, MiB, snapshotStatus } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

const random = new Random();
const folder = scratchFolder();
const size = 16 * MiB;
/** More than the largest pipe of a run holds: its reader can stop it in the middle. */
const CHANGES = 1500;

/** Writes to the device what it holds there already. */
function rewrite(device: string): string {
  const head = `${folder}/head`;
  return `dd if=${device} of=${head} bs=4k count=1 status=none && dd if=${head} of=${device} bs=4k count=1 conv=notrunc,fsync status=none`;
}

/** Reads the first bytes, which tell that the run has begun, then does the deed, then reads on. The deed may read, too. */
function begun(deed: string, output: string): string {
  return `output=${output}; head -c 17 > $output; ${deed}; cat >> $output`;
}

function quoted(words: readonly string[]): string {
  return [process.execPath, CLI, ...words].map((word) => `'${word}'`).join(' ');
}

function shell(script: string): CliResult {
  return runTool(['bash', '-c', script]);
}

/** Here: the snapback goes through a fifo. */
function runHere(deed: string, words: readonly string[], copy: string): CliResult {
  const fifo = `${folder}/fifo`;
  const reader = `{ ${begun(deed, `${folder}/undo`)}; } < ${fifo} &`;
  const run = quoted([...words, '--snapback', fifo, copy]);
  // The reader of a run that never began waits for a writer: this lets it end.
  const release = `dd if=/dev/null of=${fifo} oflag=nonblock status=none 2> /dev/null`;
  return shell(
    `rm -f ${fifo}; mkfifo ${fifo}; ${reader} ${run}; status=$?; ${release}; wait; exit $status`,
  );
}

/** As a stream, which is then applied if it may be. */
function runStdout(deed: string, words: readonly string[], copy: string): CliResult {
  const stream = `${folder}/stream`;
  const run = `${quoted([...words, '--stdout'])} | { ${begun(deed, stream)}; }`;
  const result = shell(`${run}; exit "\${PIPESTATUS[0]}"`);
  const applied = lvmsync(['--apply', stream, copy]);
  assert.equal(applied.status, result.status, 'the stream tells its reader how it ended');
  assert.equal(warns(applied), warns(result), `${applied.stderr}\n${result.stderr}`);
  return result;
}

/** To another host, for which a script stands. */
function runThere(deed: string, words: readonly string[], copy: string): CliResult {
  const rsh = `${folder}/rsh`;
  const status = `${folder}/status`;
  writeFileSync(
    rsh,
    `#!/bin/sh\n${deed}\nshift 2\n${quoted([])} "$@"\ns=$?\necho $s > ${status}\nexit $s\n`,
    { mode: 0o755 },
  );
  const result = lvmsync([...words, '-e', rsh, `there:${copy}`]);
  assert.equal(tool('cat', status), `${result.status}`, 'the receiver ends as the sender does');
  return result;
}

const WARNING = /^WARNING: .*written while it was read/m;

function warns({ stderr }: CliResult): boolean {
  return WARNING.test(stderr);
}

function quiet(result: CliResult): void {
  assert.equal(result.status, 0, result.stderr);
  assert.doesNotMatch(result.stderr, /WARNING/);
}

const WAYS = [
  ['to a device here', runHere],
  ['to standard output', runStdout],
  ['to another host', runThere],
] as const;

describe('the source of a thick snapshot', () => {
  const tests = new DrawnTests();
  const { scenario } = tests;
  const lab = withThickCopy({ random, changes: CHANGES });
  beforeEach(() => saveContent(lab.snapshot.path, lab.copy.path));

  for (const [way, run] of WAYS) {
    scenario(
      `that is only read, flushed and scanned keeps still, which is no news (${way})`,
      () => {
        const deed = `dd if=${lab.origin.path} of=/dev/null bs=1M status=none; sync ${lab.origin.path}; blockdev --flushbufs ${lab.origin.path}; lvs > /dev/null`;
        quiet(run(deed, ['--require-quiet', lab.snapshot.path], lab.copy.path));
        lab.assertEqual();
      },
    );

    scenario(`that is written meanwhile is warned of (${way})`, () => {
      const result = run(rewrite(lab.origin.path), [lab.snapshot.path], lab.copy.path);
      assert.equal(result.status, 0, result.stderr);
      assert.match(result.stderr, WARNING);
      assert.match(result.stderr, /--data-source NEWER-SNAPSHOT\.$/m);
      lab.assertEqual();
    });

    scenario(`that is written meanwhile is an error under --require-quiet (${way})`, () => {
      const words = ['--require-quiet', lab.snapshot.path];
      const result = run(rewrite(lab.origin.path), words, lab.copy.path);
      assertFails(result, EXIT.sourceUnfit, /vg0[-/]data: it was written while it was read/);
    });
  }

  scenario('may be written while a newer snapshot is read instead', () => {
    const newer = lab.createSnapshot({ name: 'newer' });
    try {
      const words = ['--require-quiet', '--data-source', newer.path, lab.snapshot.path];
      quiet(runHere(rewrite(lab.origin.path), words, lab.copy.path));
      const result = runHere(rewrite(newer.path), words, lab.copy.path);
      assertFails(result, EXIT.sourceUnfit, /newer: it was written while it was read/);
    } finally {
      lab.group.remove(newer);
    }
  });

  scenario('may have a snapshot that is written: that changes nothing of what is read', () => {
    quiet(
      runHere(rewrite(lab.snapshot.path), ['--require-quiet', lab.snapshot.path], lab.copy.path),
    );
  });

  tests.run(5, random);
});

describe('a thick snapshot that overflows while the run goes on', () => {
  test('does not harm the run, which warns that there cannot be another one', (t) => {
    const half = size / 2;
    const lab = withThickCopy({ random, until: t });
    const { origin, copy } = lab;
    const snapshot = lab.createSnapshot({ storeSize: 4 * MiB });
    writeRandom(origin.path, random, scattered(random, half, { count: 500, length: 4 * KiB }));
    const flood = `dd if=/dev/urandom of=${origin.path} bs=1M count=8 seek=8 conv=notrunc,fsync status=none`;

    const result = runHere(flood, [snapshot.path], copy.path);

    assert.equal(snapshotStatus(snapshot), 'Invalid');
    assert.equal(result.status, 0, result.stderr);
    assert.match(
      result.stderr,
      /^WARNING: .*vg0\/snap: snapshot overflowed.*This run is not affected, but the snapshot cannot be used for another one$/m,
    );
    assert.match(result.stderr, WARNING);
    assertSameContent(origin.path, copy.path, half);
    const again = lvmsync([snapshot.path, copy.path]);
    assertFails(again, EXIT.sourceUnfit, /overflowed/);
  });
});

describe('a snapshot that data are read from and that overflows after the last of them was read', () => {
  const lab = withThickCopy({ random });
  let older: LogicalVolume;
  let newer: LogicalVolume;
  beforeEach(() => {
    older = lab.createSnapshot({ name: 'older' });
    saveContent(older.path, lab.copy.path);
    // One batch, and more than a pipe holds: once some of it is taken from there, all of it was read.
    lab.change(100);
    newer = lab.createSnapshot({ name: 'newer', storeSize: 4 * MiB });
  });
  afterEach(() => {
    for (const snapshot of [newer, older]) lab.group.remove(snapshot);
  });

  for (const [way, run] of WAYS.slice(0, 2)) {
    test(`makes the run fail before it says that all is there (${way})`, () => {
      const flood = `head -c 100000 >> $output; dd if=/dev/urandom of=${lab.origin.path} bs=1M count=8 conv=notrunc,fsync status=none`;
      const result = run(flood, ['--data-source', newer.path, older.path], lab.copy.path);
      assert.equal(snapshotStatus(newer), 'Invalid');
      assertFails(result, EXIT.sourceUnfit, /vg0\/newer: it overflowed while it was read/);
      assert.match(result.stderr, /Make a new, larger snapshot/);
    });
  }
});

describe('a thin volume that is read', () => {
  const pool = { size: 120 * MiB, blockSize: 64 * KiB };
  const lab = withThinCopy({ random, changes: CHANGES, pool });
  afterEach(() => saveContent(lab.snapshot.path, lab.copy.path));

  test('keeps still while its pool holds a metadata snap', () => {
    quiet(runHere(':', ['--require-quiet', lab.snapshot.path], lab.copy.path));
    lab.assertEqual();
  });

  const deeds: readonly [what: string, deed: (device: string) => string][] = [
    ['written', rewrite],
    ['discarded in a part', (device) => `blkdiscard -o 0 -l 65536 ${device}`],
  ];
  for (const [what, deed] of deeds) {
    test(`is warned of when it is ${what} meanwhile`, () => {
      const result = runHere(deed(lab.origin.path), [lab.snapshot.path], lab.copy.path);
      assert.equal(result.status, 0, result.stderr);
      assert.match(result.stderr, WARNING);
      assert.match(result.stderr, /--since SNAPSHOT NEWER-SNAPSHOT\.$/m);
    });
  }

  test('F41: is written by lvmsync itself where its records lie on it, which the words say', () => {
    const root = '/var/lib/lvmsync';
    const own = lab.pool.createVolume('root', lab.size);
    tool('mkfs.ext4', '-q', own.path);
    const kept = lab.pool.snapshot(own, 'snap-root');
    mkdirSync(root, { recursive: true });
    tool('mount', own.path, root);
    try {
      const result = lvmsync([kept.path, lab.copy.path]);
      assert.equal(result.status, 0, result.stderr);
      assert.match(result.stderr, WARNING);
      assert.match(
        result.stderr,
        /\(lvmsync itself writes to it: its records are in \/var\/lib\/lvmsync, which lies on it\)/,
      );
    } finally {
      tool('umount', root);
    }
  });
});
