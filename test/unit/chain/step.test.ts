import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import type { ChainRecord } from '../../../src/chain/record.js';
import { stepOf, whyNot } from '../../../src/chain/step.js';
import type { StreamForm } from '../../../src/stream/change-stream.js';
import type { Hello } from '../../../src/stream/control-frame.js';
import { pointAt } from '../../helpers/chain/chain-laboratory.js';
import { idOf, modelChain } from '../../helpers/chain/chain-model.js';

const { record } = modelChain([1, 1]);
const undone = { folder: 'undone-x', redo: idOf(9) };

const copyTo = (to: number) => ({ from: undefined, to: pointAt(to) });
const step = (from: number, to: number) => ({ from: pointAt(from), to: pointAt(to) });
const doing = (what: ChainRecord['doing']): ChainRecord => ({ ...record, doing: what });
const beginning: ChainRecord = {
  ...record,
  point: null,
  last: null,
  doing: { what: 'init', to: pointAt(0) },
};

describe('whyNot', () => {
  const take = { init: false, force: false };
  const init = { init: true, force: false };
  const rows: readonly [string, Parameters<typeof whyNot>[0], RegExp | undefined][] = [
    ['lets a chain begin', { step: copyTo(0), record: undefined, ...init }, undefined],
    ['lets a full copy be made again', { step: copyTo(1), record: beginning, ...init }, undefined],
    ['lets the next turn follow', { step: step(2, 3), record, ...take }, undefined],
    [
      'lets a turn be made again',
      { step: step(2, 3), record: doing({ what: 'turn', to: pointAt(3) }), ...take },
      undefined,
    ],
    [
      'refuses another turn in the place of one that was begun',
      { step: step(2, 4), record: doing({ what: 'turn', to: pointAt(3) }), ...take },
      /a cycle run to 2026-11-23T03:00:00Z \(point-3\) is not finished/,
    ],
    [
      'refuses a step from an older point',
      { step: step(1, 3), record, ...take },
      /leads from 2026-11-23T01:00:00Z \(point-1\), but the destination holds .*point-2/,
    ],
    [
      'refuses changes where there is no chain',
      { step: step(2, 3), record: undefined, ...take },
      /holds no restore point$/,
    ],
    [
      'refuses changes after half a copy',
      { step: step(0, 1), record: beginning, ...take },
      /holds no restore point$/,
    ],
    [
      'refuses a full copy without --init',
      { step: copyTo(3), record, ...take },
      /the stream is a full copy/,
    ],
    [
      'refuses --init on a chain with a point',
      { step: copyTo(3), record, ...init },
      /already holds a restore point/,
    ],
    ['lets --force do that', { step: copyTo(3), record, init: true, force: true }, undefined],
    [
      'lets --force not do another thing',
      { step: step(1, 3), record, init: false, force: true },
      /leads from/,
    ],
    [
      'refuses changes under --init',
      { step: step(2, 3), record: undefined, ...init },
      /holds only changes/,
    ],
    [
      'refuses a turn in the middle of a rollback',
      { step: step(2, 3), record: doing({ what: 'rollback', to: pointAt(1), ...undone }), ...take },
      /a rollback is not finished/,
    ],
    [
      'refuses a full copy in the middle of a redo',
      { step: copyTo(3), record: doing({ what: 'redo', ...undone }), ...init },
      /a rollback is not finished/,
    ],
    [
      'lets --force begin anew in the middle of a redo: everything is overwritten',
      { step: copyTo(3), record: doing({ what: 'redo', ...undone }), init: true, force: true },
      undefined,
    ],
    [
      'lets --force not take changes under --init in the middle of a rollback',
      {
        step: step(2, 3),
        record: doing({ what: 'rollback', to: pointAt(1), ...undone }),
        init: true,
        force: true,
      },
      /holds only changes/,
    ],
    [
      'lets --force alone not take a turn in the middle of a rollback',
      {
        step: step(2, 3),
        record: doing({ what: 'rollback', to: pointAt(1), ...undone }),
        init: false,
        force: true,
      },
      /a rollback is not finished/,
    ],
  ];
  for (const [title, question, message] of rows) {
    test(title, () => {
      const refusal = whyNot(question);
      if (message === undefined) assert.equal(refusal, undefined);
      else assert.match(refusal?.what ?? '', message);
    });
  }
});

describe('stepOf', () => {
  const hello: Hello = {
    kind: 'wire',
    streamId: new Uint8Array(16),
    setId: new Uint8Array(16),
    streamIndex: 1,
    streamCount: 1,
    deviceSize: 4096,
    sorted: true,
    totalBytes: undefined,
    attributes: {},
  };
  const points = {
    fromPoint: 'point-1',
    fromTime: pointAt(1).time,
    toPoint: 'point-2',
    toTime: pointAt(2).time,
  };
  const framed = (attributes: Hello['attributes'], changed: Partial<Hello> = {}): StreamForm => ({
    form: 'framed',
    hello: { ...hello, ...changed, attributes },
  });
  const { fromPoint, fromTime, ...toOnly } = points;

  test('reads both points of a stream of changes, and one of a full copy', () => {
    assert.deepEqual(stepOf(framed(points), 'stream'), step(1, 2));
    assert.deepEqual(stepOf(framed(points, { kind: 'file' }), 'stream'), step(1, 2));
    assert.deepEqual(stepOf(framed(toOnly), 'stream'), copyTo(2));
    assert.deepEqual(stepOf(framed(points, { streamCount: 2 }), 'stream'), step(1, 2));
  });

  const refused: readonly [string, StreamForm, RegExp][] = [
    ['a classic stream', { form: 'classic', leftover: false, empty: false }, /classic form/],
    ['an empty one', { form: 'classic', leftover: false, empty: true }, /classic form/],
    [
      'a snapback',
      framed(points, { kind: 'snapback' }),
      /a snapback cannot be applied as a cycle run/,
    ],
    [
      'one of several streams',
      framed(points, { streamCount: 2, kind: 'file' }),
      /a file with one of several streams/,
    ],
    [
      'one of several streams of a comparison',
      framed({ ...points, comparison: 'any' }, { streamCount: 2, kind: 'wire' }),
      /a single stream/,
    ],
    ['a stream without points', framed({}), /which restore point it leads to/],
    [
      'a stream without times',
      framed({ fromPoint, toPoint: 'point-2' }),
      /which restore point it leads to/,
    ],
    [
      'a stream whose beginning has no time',
      framed({ ...toOnly, fromPoint }),
      /which restore point it starts from/,
    ],
    [
      'a stream that leads nowhere',
      framed({ ...points, fromPoint: 'point-2' }),
      /which restore point it starts from/,
    ],
    [
      'a time that is none',
      framed({ ...points, fromTime: `${fromTime}x` }),
      /which restore point it starts from/,
    ],
    [
      'a name that is none',
      framed({ ...points, toPoint: '../x\n' }),
      /which restore point it leads to/,
    ],
  ];
  for (const [what, form, message] of refused) {
    test(`refuses ${what}`, () => {
      assert.throws(
        () => stepOf(form, 'stream'),
        (error) =>
          error instanceof LvmsyncError && error.exitStatus === 12 && message.test(error.message),
      );
    });
  }
});
