// The campaign of surroundings (T20) is judged itself: what it draws, and what it lets pass.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Case,
  COMMANDS,
  describeCase,
  drawCase,
  PLACES,
  SCENES,
} from '../system/harness/surroundings-case.js';
import {
  type Expectation,
  escapeOf,
  expectSending,
  expectStep,
  type Observation,
} from '../system/harness/surroundings-oracle.js';

const CASES = Array.from({ length: 2000 }, (_, seed) => drawCase(seed));

test('a seed draws one case, and says so in words', () => {
  const [first] = CASES;
  assert.deepEqual(drawCase(0), first);
  const words = new Set(CASES.map((what) => describeCase(what)));
  assert.equal(words.size, CASES.length);
});

test('each command meets each place, and each source each thing that is done to it', () => {
  const pairs = new Set(CASES.map(({ command, place }) => `${command}, ${place}`));
  assert.equal(pairs.size, COMMANDS.length * PLACES.length);
  const deeds = (kind: string): string[] => [
    ...new Set(
      CASES.filter(({ scene }) => scene.kind === kind).map(
        ({ activity, during }) => `${activity} ${during === undefined ? 'before' : 'during'}`,
      ),
    ),
  ];
  // Of seven things: all but enlarging a thick origin, before and during the run; and nothing.
  assert.equal(deeds('thick').length, 5 * 2 + 1 + 1);
  assert.equal(deeds('thin').length, 7 * 2 + 1);
});

test('a program that refuses everything does not pass', () => {
  const refusal: Observation = {
    status: 12,
    stderr: 'FATAL ERROR: no\nNothing was written.\n',
    hung: false,
  };
  const escaped = CASES.filter(
    (what) => escapeOf(expectSending(what, true), refusal) !== undefined,
  );
  assert.ok(escaped.length > CASES.length / 3, `${escaped.length} of ${CASES.length} are healthy`);
});

const HEALTHY: Case = {
  ...drawCase(0),
  scene: SCENES[0],
  reads: 'origin',
  command: 'sync',
  place: 'linear volume',
  change: 'none',
  activity: 'none',
  during: undefined,
};

test('what is healthy', () => {
  const healthy = (changes: Partial<Case>): boolean =>
    expectSending({ ...HEALTHY, ...changes }, true).healthy;
  assert.ok(healthy({}));
  assert.ok(healthy({ place: 'thin volume of a pool with -Zn' }));
  assert.ok(healthy({ activity: 'sibling removed', during: 100 }));
  assert.ok(healthy({ activity: 'origin grown', change: 'grown' }));
  assert.ok(!healthy({ activity: 'origin grown' }));
  assert.ok(!healthy({ activity: 'sibling merging' }));
  assert.ok(!healthy({ activity: 'snapshot renamed', during: 100 }));
  assert.ok(!healthy({ change: 'cut' }));
  assert.ok(!expectStep({ ...HEALTHY, change: 'replaced' }, false).healthy);
});

const OLD = Buffer.alloc(2048, 'old');
const NEW = Buffer.alloc(2048, 'new');
const MAY_FAIL: Expectation = { healthy: false };
const FATAL = 'FATAL ERROR: /dev/x: it is too small\n';

const DONE: Observation = {
  status: 0,
  stderr: '',
  hung: false,
  before: OLD,
  after: NEW,
  wanted: [NEW],
};

test('what ended as it may', () => {
  const passes = (seen: Observation, expected = MAY_FAIL): void =>
    assert.equal(escapeOf(expected, seen), undefined);
  passes(DONE);
  passes({ ...DONE, wanted: [OLD, NEW] });
  passes({ ...DONE, status: 12, stderr: `${FATAL}Nothing was written.\n`, after: OLD });
  passes({ ...DONE, status: 13, stderr: FATAL });
  passes({ ...DONE, before: Buffer.concat([OLD, OLD]) }, { healthy: true, shrinks: true });
  passes({ ...DONE, status: 4, before: NEW }, { healthy: true, equal: false });
});

test('what escaped', () => {
  const escapes = (changes: Partial<Observation>, why: RegExp, expected = MAY_FAIL): void =>
    assert.match(`${escapeOf(expected, { ...DONE, ...changes })}`, why);
  const wrong = Buffer.from(NEW);
  wrong[1000] = 0;
  escapes({ after: wrong }, /status 0, 1 sectors differ, the first at 512/);
  escapes({ after: NEW.subarray(0, 1000) }, /1000 bytes in place of 2048/);
  const longer = Buffer.concat([OLD, OLD]);
  escapes({ before: longer, after: Buffer.concat([NEW, NEW]) }, /written beyond/);
  escapes({ before: longer }, /4096 bytes became 2048/);
  escapes({ hung: true, status: null }, /did not end/);
  escapes({ status: 1, stderr: 'FATAL ERROR: unexpected: x' }, /nobody thought of/);
  escapes({ status: 10, stderr: `${FATAL}    at x (y.js:1:2)\n` }, /nobody thought of/);
  escapes({ status: 10, stderr: `${FATAL}Nothing was written.\n` }, /written nevertheless/);
  escapes({ status: 12, stderr: FATAL }, /written nevertheless/);
  escapes({ status: 10, stderr: '' }, /0 fatal lines/);
  escapes({ status: 2, stderr: FATAL }, /undocumented/);
  escapes({ status: null, stderr: FATAL }, /undocumented/);
  escapes({ status: 12, stderr: FATAL, after: OLD }, /nothing speaks against it/, {
    healthy: true,
  });
  escapes({}, /status 0, and they are different/, { healthy: false, equal: false });
  escapes({ status: 4 }, /status 4, and they are equal/, { healthy: false, equal: true });
});
