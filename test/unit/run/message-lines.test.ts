import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EXIT, InterruptedError, LvmsyncError } from '../../../src/base/errors.js';
import { Reporter } from '../../../src/run/reporter.js';
import type { Verbosity } from '../../../src/run/request.js';
import {
  DOCUMENTED,
  type MessageObject,
  messagesOf,
} from '../../helpers/program/message-document.js';

const TIME = '2026-11-23T10:15:00.000Z';

/** A reporter of JSON with a clock that stands still, and what it said so far. */
function capture(verbosity: Verbosity = 'normal', isTTY = false) {
  const writes: string[] = [];
  const clock = { milliseconds: 5000 };
  const reporter = new Reporter({
    verbosity,
    form: 'json',
    write: (text) => writes.push(text),
    isTTY,
    now: () => clock.milliseconds,
    date: () => new Date(TIME),
  });
  const said = (): MessageObject[] => {
    for (const text of writes) assert.match(text, /^\P{C}+\n$/u, 'one harmless line a call');
    return messagesOf(writes.join(''));
  };
  return { reporter, clock, said };
}

function only(messages: readonly MessageObject[]): MessageObject {
  assert.equal(messages.length, 1);
  return messages[0]!;
}

function sayAll(reporter: Reporter): void {
  reporter.error('e');
  reporter.warn('w');
  reporter.info('i');
  reporter.verbose('v');
  reporter.debug('d');
  reporter.remote('r');
  reporter.remote('rv', 'verbose');
  reporter.progress({ activity: 'Sending', doneBytes: 0, totalBytes: undefined });
  reporter.transferred({ bytes: 5, seconds: 1, sourceSize: 10 });
  reporter.result({ command: 'sync', exitStatus: 0, seconds: 2 });
}

describe('messages as JSON', () => {
  const shown: readonly [verbosity: Verbosity, messages: string][] = [
    ['quiet', 'e'],
    ['normal', 'e w i r progress result'],
    ['verbose', 'e w i v r rv progress result'],
    ['debug', 'e w i v d r rv progress result'],
  ];
  for (const [verbosity, messages] of shown) {
    test(`when ${verbosity} are: ${messages}`, () => {
      const { reporter, said } = capture(verbosity);
      sayAll(reporter);
      const names = said().map(({ type, message }) => message ?? type);
      assert.equal(names.join(' '), messages);
    });
  }

  test('are of every type that the document lists', () => {
    const { reporter, said } = capture('debug');
    sayAll(reporter);
    reporter.noteFills([{ name: 'vg/snap', what: 'COW store', percent: 1 }]);
    reporter.fatal(new LvmsyncError('usage', 'no'));
    const types = new Set(said().map(({ type }) => type));
    assert.deepEqual([...types, 'fills'].sort(), [...DOCUMENTED.keys()].sort());
  });

  test('bear the time', () => {
    const { reporter, said } = capture();
    reporter.warn('w');
    assert.deepEqual(only(said()), { type: 'warning', time: TIME, message: 'w' });
  });

  test('keep foreign text whole, with nothing in it that acts on a terminal', () => {
    const text = 'a\nb\u001b[2J\u009b31m\u202e\u2028\u{e0001}\ud800 ü "x" \\ \u{1f600}';
    const { reporter, said } = capture();
    reporter.remote(text);
    assert.equal(only(said()).message, text);
  });

  test('report progress at once, then once a second, on a terminal no more often', () => {
    for (const isTTY of [false, true]) {
      const { reporter, clock, said } = capture('normal', isTTY);
      for (let step = 0; step <= 30; step++) {
        reporter.progress({ activity: 'Sending', doneBytes: step * 10, totalBytes: 1000 });
        clock.milliseconds += 100;
      }
      const seen = said().map(({ doneBytes, bytesPerSecond, secondsLeft }) => {
        return [doneBytes, bytesPerSecond, secondsLeft];
      });
      assert.deepEqual(seen, [
        [0, null, null],
        [100, 100, 9],
        [200, 100, 8],
        [300, 100, 7],
      ]);
    }
  });

  test('report the progress of a receiver, too, since somebody asked for it', () => {
    const { reporter, said } = capture();
    reporter.progress({ activity: 'A', doneBytes: 1, totalBytes: undefined, toldBy: 'sender' });
    assert.equal(only(said()).doneBytes, 1);
  });

  test('tell of the compression and of what fills', () => {
    const { reporter, said } = capture();
    const fills = [{ name: 'vg/pool', what: 'data', percent: 33.333333 }] as const;
    reporter.noteFills(fills);
    const packed = { plainBytes: 10, packedBytes: 3 };
    reporter.progress({ activity: 'Sending', doneBytes: 1, totalBytes: 2, packed });
    assert.equal(only(said()).compressionRatio, 3.33);
    assert.deepEqual(only(said()).fills, [{ ...fills[0], percent: 33.33 }]);
  });

  test('end with what the run did', () => {
    const { reporter, said } = capture();
    reporter.progress({ activity: 'Comparing', doneBytes: 100, totalBytes: 100 });
    reporter.progress({ activity: 'Sending', doneBytes: 7, totalBytes: 8 });
    reporter.transferred({ bytes: 8, seconds: 0.12345, sourceSize: undefined });
    reporter.result({ command: 'verify', exitStatus: EXIT.different, seconds: 1.23456 });
    assert.deepEqual(said().at(-1), {
      ...{ type: 'result', time: TIME, command: 'verify', exitStatus: 4, seconds: 1.235 },
      ...{ bytes: 108, transferredBytes: 8, transferSeconds: 0.123, sourceBytes: null },
    });
  });
});

describe('a failure as JSON', () => {
  const state = 'Nothing was written.';
  const hint = 'Try again.';
  const rows: readonly [title: string, error: unknown, members: Record<string, unknown>][] = [
    [
      'bears status, state and hint',
      new LvmsyncError('sourceRead', 'read error', { state, hint }),
      { exitStatus: 11, name: 'sourceRead', message: 'read error', state, hint },
    ],
    [
      'bears null for what is not known',
      new LvmsyncError('usage', 'no'),
      { exitStatus: 1, name: 'usage', message: 'no', state: null, hint: null },
    ],
    [
      'by a signal bears its status',
      new InterruptedError('SIGTERM', 15, { state }),
      {
        ...{ exitStatus: 143, name: 'interrupted', message: 'interrupted by SIGTERM' },
        ...{ state, hint: null },
      },
    ],
    [
      'of an unknown kind asks for a report',
      new TypeError('x'),
      {
        ...{ exitStatus: 1, name: 'unexpected', message: 'unexpected: TypeError: x', state: null },
        hint: 'This is a bug in lvmsync. Please report it with what the same command prints under -d.',
      },
    ],
  ];
  for (const [title, error, members] of rows) {
    test(title, () => {
      const { reporter, said } = capture('quiet');
      reporter.fatal(error);
      assert.deepEqual(only(said()), { type: 'fatal', time: TIME, ...members });
    });
  }

  test('shows the stack only under debug', () => {
    const { reporter, said } = capture('debug');
    reporter.fatal(new Error('several\nlines', { cause: new Error('EIO') }));
    const { trace } = only(said());
    assert.ok(Array.isArray(trace) && trace.includes('caused by: Error: EIO'));
  });
});
