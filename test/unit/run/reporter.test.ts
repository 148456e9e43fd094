import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import { Reporter, type ReporterOptions } from '../../../src/run/reporter.js';
import type { Verbosity } from '../../../src/run/request.js';

const ERASE = '\r\x1b[2K';

/** A reporter with a clock that stands still, and what it wrote, one entry per write. */
function capture(options: Partial<ReporterOptions> = {}) {
  const writes: string[] = [];
  const clock = { milliseconds: 1_000_000 };
  const reporter = new Reporter({
    verbosity: 'normal',
    write: (text) => writes.push(text),
    isTTY: false,
    now: () => clock.milliseconds,
    ...options,
  });
  return { reporter, writes, clock };
}

function sending(doneBytes: number) {
  return { activity: 'Sending', doneBytes, totalBytes: 1000 };
}

describe('reporter', () => {
  const shown: readonly [verbosity: Verbosity, writes: string[]][] = [
    ['quiet', ['ERROR: e\n']],
    ['normal', ['ERROR: e\n', 'WARNING: w\n', 'i\n']],
    ['verbose', ['ERROR: e\n', 'WARNING: w\n', 'i\n', 'v\n']],
    ['debug', ['ERROR: e\n', 'WARNING: w\n', 'i\n', 'v\n', 'd\n']],
  ];
  for (const [verbosity, expected] of shown) {
    test(`when ${verbosity} writes ${expected.length} of five kinds of message`, () => {
      const { reporter, writes } = capture({ verbosity });
      reporter.error('e');
      reporter.warn('w');
      reporter.info('i');
      reporter.verbose('v');
      reporter.debug('d');
      assert.deepEqual(writes, expected);
    });
  }

  test('makes a message with control characters one harmless line', () => {
    const { reporter, writes } = capture();
    reporter.info('a\nb\x1b[2J\rc');
    assert.deepEqual(writes, ['a\\nb\\x1b[2J\\rc\n']);
  });

  test('ends a run with the two lines that scripts look for', () => {
    const { reporter, writes } = capture();
    reporter.transferred({ bytes: 1_105_920, seconds: 0.8567, sourceSize: 21_474_836_480 });
    assert.deepEqual(writes, [
      'Transferred 1105920 bytes in 0.86 seconds\n',
      'You transferred your changes 19418.07x faster than a full dd!\n',
    ]);
  });

  test('F24: ends it on a terminal with one line about what was moved, and how fast', () => {
    const writes: string[] = [];
    const write = (text: string): void => {
      writes.push(text);
    };
    const reporter = new Reporter({ verbosity: 'normal', write, isTTY: true });
    reporter.transferred({ bytes: 290_816, seconds: 2.11, sourceSize: 16 * 1024 * 1024 });
    reporter.transferred({ bytes: 0, seconds: 0.01, sourceSize: 1000 });
    assert.deepEqual(writes, [
      'Transferred 284.0 KiB of 16.0 MiB (1.7%) in 2.1 s, 134.6 KiB/s\n',
      'Transferred 0 bytes in 0.01 seconds\n',
      'Nothing had changed, so there was nothing to transfer.\n',
    ]);
  });

  test('does not claim infinite speed where nothing had changed', () => {
    const { reporter, writes } = capture();
    reporter.transferred({ bytes: 0, seconds: 0.01, sourceSize: 1000 });
    assert.deepEqual(writes, [
      'Transferred 0 bytes in 0.01 seconds\n',
      'Nothing had changed, so there was nothing to transfer.\n',
    ]);
  });

  test('compares with a full copy only where the size of the source is known', () => {
    const { reporter, writes } = capture();
    reporter.transferred({ bytes: 5, seconds: 1, sourceSize: undefined });
    assert.deepEqual(writes, ['Transferred 5 bytes in 1.00 seconds\n']);
  });

  test('says nothing at the end of a quiet run', () => {
    const { reporter, writes } = capture({ verbosity: 'quiet' });
    reporter.transferred({ bytes: 5, seconds: 1, sourceSize: 10 });
    assert.deepEqual(writes, []);
  });
});

describe('progress on a terminal', () => {
  test('rewrites one line, at most five times a second', () => {
    const { reporter, writes, clock } = capture({ isTTY: true });
    for (let step = 0; step <= 1000; step += 10) {
      reporter.progress(sending(step));
      clock.milliseconds += 10;
    }
    assert.equal(writes.length, 6);
    assert.equal(writes[0], `${ERASE}Sending 0 B of 1000 B (0.0%)`);
    assert.equal(writes[5], `${ERASE}Sending 1000 B of 1000 B (100.0%), 1000 B/s, 0:00 left`);
  });

  test('is cleared before any other output, in the same write', () => {
    const { reporter, writes } = capture({ isTTY: true });
    reporter.progress(sending(1));
    reporter.info('one');
    reporter.info('two');
    assert.deepEqual(writes.slice(1), [`${ERASE}one\n`, 'two\n']);
  });

  test('can be cleared, once', () => {
    const { reporter, writes } = capture({ isTTY: true });
    reporter.progress(sending(1));
    reporter.clearProgress();
    reporter.clearProgress();
    assert.deepEqual(writes.slice(1), [ERASE]);
  });

  test('leaves the last column of a narrow terminal free', () => {
    const { reporter, writes } = capture({ isTTY: true, columns: 12 });
    reporter.progress(sending(1));
    assert.deepEqual(writes, [`${ERASE}Sending 1 B`]);
  });

  test('follows the terminal to another width', () => {
    const writes: string[] = [];
    const widths = [30, 21];
    let milliseconds = 0;
    const reporter = new Reporter({
      verbosity: 'normal',
      write: (text) => writes.push(text),
      isTTY: true,
      now: () => milliseconds,
      get columns() {
        return widths.shift();
      },
    });
    for (const _ of [1, 2]) {
      reporter.progress(sending(1));
      milliseconds += 200;
    }
    const whole = 'Sending 1 B of 1000 B (0.1%)';
    assert.deepEqual(writes, [`${ERASE}${whole}`, `${ERASE}${whole.slice(0, 20)}`]);
  });

  test('tells how full the stores are that the run depends on', () => {
    const { reporter, writes } = capture({ isTTY: true });
    reporter.noteFills([{ name: 'vg/snap', what: 'COW store', percent: 50 }]);
    reporter.progress(sending(1));
    assert.deepEqual(writes, [`${ERASE}Sending 1 B of 1000 B (0.1%), COW 50%`]);
  });

  test('is shown of a run whose input is a pipe, but not of one that a sender started', () => {
    for (const [toldBy, shown] of [
      ['pipe', 1],
      ['sender', 0],
    ] as const) {
      const { reporter, writes } = capture({ isTTY: true });
      reporter.progress({ ...sending(1), toldBy });
      assert.equal(writes.length, shown);
    }
  });

  test('is not shown when quiet', () => {
    const { reporter, writes } = capture({ isTTY: true, verbosity: 'quiet' });
    reporter.progress(sending(1));
    reporter.clearProgress();
    assert.deepEqual(writes, []);
  });
});

describe('progress in a log or a pipe', () => {
  test('is one whole line every ten seconds, and none in a short run', () => {
    const { reporter, writes, clock } = capture();
    for (let second = 0; second <= 25; second += 1) {
      reporter.progress(sending(second * 10));
      clock.milliseconds += 1000;
    }
    assert.deepEqual(writes, [
      'Sending 100 B of 1000 B (10.0%), 10 B/s, 1:30 left\n',
      'Sending 200 B of 1000 B (20.0%), 10 B/s, 1:20 left\n',
    ]);
  });

  for (const toldBy of ['pipe', 'sender'] as const) {
    test(`is left to the other end of a ${toldBy}, which counts all the same`, () => {
      const { reporter, writes, clock } = capture();
      for (const step of [0, 10, 20]) {
        reporter.progress({ ...sending(step), toldBy });
        clock.milliseconds += 11_000;
      }
      reporter.transferred({ bytes: 30, seconds: 1, sourceSize: 100 }, toldBy);
      assert.deepEqual(writes, []);
      assert.equal(reporter.tally.bytes, 30);
    });
  }

  test('never writes a partial line or an escape sequence, whatever is called', () => {
    const { reporter, writes, clock } = capture({ verbosity: 'debug' });
    for (let round = 0; round < 50; round += 1) {
      reporter.progress(sending(round));
      reporter.info(`round ${round}\x1b[K`);
      reporter.clearProgress();
      clock.milliseconds += 3000;
    }
    reporter.fatal(new Error('several\nlines'));
    for (const text of writes) assert.match(text, /^\P{Cc}*\n$/u);
  });
});

describe('fatal errors', () => {
  const failure = new LvmsyncError('sourceRead', 'read error at byte 4096 of /dev/vg/data', {
    state: 'Nothing was written.',
    hint: 'Look at the kernel log.',
    cause: new Error('EIO'),
  });

  test('begin with FATAL ERROR, then tell the state and what to do', () => {
    const { reporter, writes } = capture();
    reporter.fatal(failure);
    assert.deepEqual(writes, [
      'FATAL ERROR: read error at byte 4096 of /dev/vg/data\n',
      'Nothing was written.\n',
      'Look at the kernel log.\n',
    ]);
  });

  test('are told even when quiet', () => {
    const { reporter, writes } = capture({ verbosity: 'quiet' });
    reporter.fatal(new LvmsyncError('usage', 'missing operand: SNAPSHOT'));
    assert.deepEqual(writes, ['FATAL ERROR: missing operand: SNAPSHOT\n']);
  });

  test('show the stack and the causes only with debug', () => {
    const { reporter, writes } = capture({ verbosity: 'debug' });
    reporter.fatal(failure);
    assert.equal(writes[0], 'FATAL ERROR: read error at byte 4096 of /dev/vg/data\n');
    assert(writes.some((line) => /^ {4}at .*reporter\.test/.test(line)));
    assert(writes.includes('caused by: Error: EIO\n'));
  });

  test('that cause each other in a circle end', () => {
    const first = new Error('first');
    first.cause = new Error('second', { cause: first });
    const { reporter, writes } = capture({ verbosity: 'debug' });
    reporter.fatal(first);
    assert.equal(writes.filter((line) => line.startsWith('caused by:')).length, 1);
  });

  test('of an unknown kind ask for a report, on one line without a stack', () => {
    const { reporter, writes } = capture();
    reporter.fatal(new TypeError('x is not\na function'));
    assert.equal(writes.length, 2);
    assert.equal(writes[0], 'FATAL ERROR: unexpected: TypeError: x is not\\na function\n');
    assert.match(writes[1] ?? '', /report/);
  });

  test('may be any thrown value', () => {
    const { reporter, writes } = capture();
    reporter.fatal(undefined);
    assert.equal(writes[0], 'FATAL ERROR: unexpected: undefined\n');
  });

  test('take the progress line off first', () => {
    const { reporter, writes } = capture({ isTTY: true });
    reporter.progress(sending(1));
    reporter.fatal(new LvmsyncError('usage', 'no'));
    assert.equal(writes[1], `${ERASE}FATAL ERROR: no\n`);
  });
});
