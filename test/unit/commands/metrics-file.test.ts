import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import type { Labels } from '../../../src/commands/metrics.js';
import { MetricsFile } from '../../../src/commands/metrics-file.js';
import { Reporter } from '../../../src/run/reporter.js';
import { onlyValue, parsePrometheus } from '../../helpers/program/prometheus.js';
import { scratchFolder } from '../../helpers/scratch.js';

const LABELS: Labels = [['command', 'sync']];
const FIGURES = { exitStatus: 0, seconds: 1, bytes: 10, endedAt: 5 };

describe('the file of metrics', () => {
  const folder = scratchFolder();
  const path = join(folder, 'lvmsync.prom');
  let said: string[] = [];
  const write = (text: string): number => said.push(text);
  const reporter = new Reporter({ verbosity: 'quiet', write, isTTY: false });
  const save = (): void => new MetricsFile(path, LABELS).save(FIGURES, reporter);

  beforeEach(() => {
    mkdirSync(folder, { recursive: true });
    rmSync(path, { recursive: true, force: true });
    said = [];
  });

  test('can be read by everybody, whatever the umask', () => {
    const former = process.umask(0o077);
    try {
      save();
    } finally {
      process.umask(former);
    }
    assert.equal(statSync(path).mode & 0o7777, 0o644);
    assert.deepEqual(said, []);
  });

  test('is replaced, not written over, and leaves nothing beside it', () => {
    save();
    const { ino } = statSync(path);
    save();
    assert.notEqual(statSync(path).ino, ino);
    assert.equal(onlyValue(readFileSync(path, 'utf8'), 'lvmsync_bytes_total'), 20);
    assert.deepEqual(readdirSync(folder), ['lvmsync.prom']);
  });

  test('may be empty before', () => {
    writeFileSync(path, '');
    save();
    assert.equal(onlyValue(readFileSync(path, 'utf8'), 'lvmsync_runs_total'), 1);
  });

  const strangers: readonly [what: string, make: () => void, message: RegExp][] = [
    ['an image', () => writeFileSync(path, 'SnAp'), /it is not a metrics file/],
    [
      'metrics of another program',
      () => writeFileSync(path, '# HELP node_load1 1m load average.\n'),
      /it is not a metrics file/,
    ],
    ['a large file', () => writeFileSync(path, Buffer.alloc(2 ** 21)), /it is not a metrics file/],
    ['a folder', () => mkdirSync(path), /it is not a regular file/],
    ['a link', () => symlinkSync('/nowhere', path), /it is a symbolic link/],
  ];
  for (const [what, make, message] of strangers) {
    test(`is never ${what}, which is refused before the run`, () => {
      make();
      assert.throws(
        () => new MetricsFile(path, LABELS),
        (error) => {
          assert.ok(error instanceof LvmsyncError);
          assert.equal(error.exitStatus, 1);
          return message.test(error.message);
        },
      );
    });
  }

  test('is never a device, which is refused before the run', () => {
    assert.throws(() => new MetricsFile('/dev/null', LABELS), /it is not a regular file/);
  });

  test('is refused before the run where there is no such folder', () => {
    assert.throws(() => new MetricsFile('/nowhere/m.prom', LABELS), /\/nowhere: .*\(ENOENT\)/);
  });

  const meanwhile: readonly [what: string, make: () => void, message: RegExp][] = [
    [
      'is another file',
      () => writeFileSync(path, 'lvmsync PROTO[3]\n'),
      /it is not a metrics file/,
    ],
    ['is a folder', () => mkdirSync(path), /it is not a regular file/],
    ['has no folder any more', () => rmSync(folder, { recursive: true }), /not written \(ENOENT\)/],
  ];
  for (const [what, make, message] of meanwhile) {
    test(`that at the end ${what} is left so: one line says it, also under -q`, () => {
      const metrics = new MetricsFile(path, LABELS);
      make();
      metrics.save(FIGURES, reporter);
      assert.equal(said.length, 1);
      assert.match(said[0] ?? '', message);
      assert.match(
        said[0] ?? '',
        /^ERROR: --metrics: .*: the run is not affected, but its figures were not saved\n$/,
      );
    });
  }

  test('is whole at every moment, though two runs end at once again and again', async () => {
    const ROUNDS = 40;
    const runs = [savingRun(path, ROUNDS), savingRun(path, ROUNDS)];
    let looks = 0;
    let under = runs.length;
    for (const run of runs) void run.then(() => under--);
    for (; under > 0; looks++) {
      if (existsSync(path)) parsePrometheus(readFileSync(path, 'utf8'));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(await Promise.all(runs), ['', '']);
    assert.ok(looks > 0);
    const count = onlyValue(readFileSync(path, 'utf8'), 'lvmsync_runs_total') ?? 0;
    // Nobody holds a lock: of two that end in one moment one may not be counted, or count from before the other.
    assert.ok(count >= 1 && count <= 2 * ROUNDS, `${count} runs`);
    assert.deepEqual(readdirSync(folder), ['lvmsync.prom']);
  });
});

/** A process that saves so often; resolves with all that it says. */
async function savingRun(path: string, rounds: number): Promise<string> {
  const from = (name: string): string =>
    JSON.stringify(new URL(`../../../src/${name}.js`, import.meta.url).href);
  const script = `
    import { MetricsFile } from ${from('commands/metrics-file')};
    import { Reporter } from ${from('run/reporter')};
    const write = (text) => process.stdout.write(text);
    const reporter = new Reporter({ verbosity: 'quiet', write, isTTY: false });
    const file = new MetricsFile(${JSON.stringify(path)}, ${JSON.stringify(LABELS)});
    for (let i = 0; i < ${rounds}; i++) file.save(${JSON.stringify(FIGURES)}, reporter);`;
  const argv = ['--input-type=module', '--eval', script];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  for await (const text of child.stdout) said += text;
  return said;
}
