import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import { WriteWatch } from '../../../src/device/write-watch.js';
import { Reporter } from '../../../src/run/reporter.js';
import { checkWatch, reportWrites } from '../../../src/source/quiet-check.js';
import { scratchFolder } from '../../helpers/scratch.js';

const root = scratchFolder();
mkdirSync(join(root, 'sys/dev/block/254:3'), { recursive: true });
writeFileSync(join(root, 'sys/dev/block/254:3/stat'), '1 0 8 1 1 0 8 1 0 1 1\n');

function watchOf(device: string): Promise<WriteWatch> {
  const identity = { kind: 'block', device } as const;
  const sync = async (): Promise<void> => undefined;
  const readBatch = async (): Promise<void> => {
    writeFileSync(join(root, 'sys/dev/block/254:3/stat'), '2 0 16 1 1 0 8 1 0 1 1\n');
  };
  const watched = { path: '/dev/vg/data', identity, size: 4096, sync, readBatch };
  return WriteWatch.begin(watched, ', or read elsewhere', root);
}
const counted = await watchOf('254:3');
const uncounted = await watchOf('254:4');

/** What `work` says, with and without --require-quiet. */
function told(requireQuiet: boolean, work: (rules: Parameters<typeof checkWatch>[1]) => unknown) {
  let said = '';
  const write = (text: string): void => {
    said += text;
  };
  const reporter = new Reporter({ verbosity: 'verbose', write, isTTY: false, columns: 80 });
  const result = work({ requireQuiet, reporter });
  return { said, result };
}

function unfit(pattern: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof LvmsyncError &&
    error.exitStatus === 10 &&
    pattern.test(`${error.message} ${error.state} ${error.hint}`);
}

test('of a quiet source nothing is said', () => {
  for (const requireQuiet of [false, true]) {
    assert.equal(told(requireQuiet, (rules) => checkWatch(counted, rules)).said, '');
    const { said, result } = told(requireQuiet, (rules) => reportWrites(counted, 'none', rules));
    assert.equal(said, '');
    assert.deepEqual(result, { sourceChanged: false });
  }
});

test('of a source that was written the user is warned, and the stream says it', () => {
  const { said, result } = told(false, (rules) => reportWrites(counted, 'some', rules));
  assert.match(said, /^WARNING: \/dev\/vg\/data: it was written while it was read/);
  assert.match(said, /Stop what writes to it, or read elsewhere\.\n$/);
  assert.deepEqual(result, { sourceChanged: true });
});

test('of a source that cannot be watched a note is made, and the stream says nothing', () => {
  const { said } = told(false, (rules) => checkWatch(uncounted, rules));
  assert.match(said, /^\/dev\/vg\/data: writes to it during the run cannot be detected\n$/);
  const { result } = told(false, (rules) => reportWrites(uncounted, 'unknown', rules));
  assert.deepEqual(result, { sourceChanged: false });
});

test('a source that has to be quiet fails when it was written, or cannot be watched', () => {
  const throws = (work: Parameters<typeof told>[1], pattern: RegExp): void => {
    assert.throws(() => told(true, work), unfit(pattern));
  };
  throws((rules) => checkWatch(uncounted, rules), /cannot be detected Nothing was written\./);
  throws((rules) => reportWrites(uncounted, 'unknown', rules), /cannot be detected/);
  throws(
    (rules) => reportWrites(counted, 'some', rules),
    /written while it was read.*read elsewhere/,
  );
});
