import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { endOfTime, localTime, timeSpan } from '../../../src/base/local-time.js';

describe('endOfTime', () => {
  const ends: readonly [string, string][] = [
    ['2026Z', '2026-12-31T23:59:59.999Z'],
    ['2024-02Z', '2024-02-29T23:59:59.999Z'],
    ['2026-11-23Z', '2026-11-23T23:59:59.999Z'],
    ['2026-12-31Z', '2026-12-31T23:59:59.999Z'],
    ['2026-11-23T10Z', '2026-11-23T10:59:59.999Z'],
    ['2026-11-23T10:15Z', '2026-11-23T10:15:59.999Z'],
    ['2026-11-23T10:15:30Z', '2026-11-23T10:15:30.999Z'],
    ['2026-11-23 10:15:30z', '2026-11-23T10:15:30.999Z'],
    // As files are called.
    ['2026-11-23T10-15-30Z', '2026-11-23T10:15:30.999Z'],
    // As chain prints them, and parts of that.
    ['2026-11-23T10:15:30+01:00', '2026-11-23T09:15:30.999Z'],
    ['2026-11-23T10:15-03:30', '2026-11-23T13:45:59.999Z'],
    ['2026-11-23T10:15-0330', '2026-11-23T13:45:59.999Z'],
    ['2026-11-23 10:15:30+01:00', '2026-11-23T09:15:30.999Z'],
  ];
  for (const [text, end] of ends) {
    test(`of "${text}" is ${end}`, () => {
      assert.equal(new Date(endOfTime(text) ?? Number.NaN).toISOString(), end);
    });
  }

  test('is in the local time zone without a Z', () => {
    const moment = new Date(2026, 10, 23, 10, 16).getTime() - 1;
    assert.equal(endOfTime('2026-11-23T10:15'), moment);
    assert.equal(endOfTime('2026-11-23'), new Date(2026, 10, 24).getTime() - 1);
  });

  for (const text of [
    '',
    'yesterday',
    '26-11-23',
    '2026-13',
    '2026-00',
    '2026-02-29',
    '2026-11-23T24',
    '2026-11-23T10:60',
    '2026-11-23T10:15:30.5Z',
    '2026-11-23T10:15+24:00',
    '2026-11-23T10:15+01:60',
    '2026-11-23T10:15+01',
    '2026-11-23T',
    '20261123',
  ]) {
    test(`is undefined for "${text}"`, () => assert.equal(endOfTime(text), undefined));
  }

  test('of every beginning of a time is no earlier than that time', () => {
    const someDate = fc.date({
      min: new Date('1971-01-01'),
      max: new Date('2200-01-01'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(someDate, fc.constantFrom(4, 7, 10, 13, 16, 19), (date, length) => {
        const text = `${date.toISOString().slice(0, length)}Z`;
        const end = endOfTime(text) ?? Number.NaN;
        assert.ok(end >= date.getTime() && Number.isFinite(end), text);
        assert.ok(new Date(end).toISOString().startsWith(text.slice(0, -1)), text);
      }),
    );
  });
});

/** What Date does of local time follows TZ at once. */
function inZone(zone: string): void {
  const former = process.env.TZ;
  before(() => {
    process.env.TZ = zone;
  });
  after(() => {
    if (former === undefined) delete process.env.TZ;
    else process.env.TZ = former;
  });
}

const iso = (moment: number | undefined): string => new Date(moment ?? Number.NaN).toISOString();

describe('F6: where clocks are set back or forward', () => {
  inZone('Europe/Berlin');
  // Set forward on 29 March 2026 at 01:00 UTC, from 02:00 to 03:00; back on 25 October, from 03:00 to 02:00.
  const ends: readonly [string, string][] = [
    ['2026-03-29T01:59', '2026-03-29T00:59:59.999Z'],
    ['2026-03-29T02:30', '2026-03-29T00:59:59.999Z'],
    ['2026-03-29T02', '2026-03-29T00:59:59.999Z'],
    ['2026-03-29T03:00', '2026-03-29T01:00:59.999Z'],
    ['2026-03-29', '2026-03-29T21:59:59.999Z'],
    ['2026-10-25T01:59', '2026-10-24T23:59:59.999Z'],
    ['2026-10-25T02:30', '2026-10-25T01:30:59.999Z'],
    ['2026-10-25T02:30+02:00', '2026-10-25T00:30:59.999Z'],
    ['2026-10-25T03:00', '2026-10-25T02:00:59.999Z'],
    ['2026-10-25', '2026-10-25T22:59:59.999Z'],
  ];
  for (const [text, end] of ends) {
    test(`F6: ${text} in Berlin is until ${end}`, () => assert.equal(iso(endOfTime(text)), end));
  }

  test('F6: both of two equal times are printed apart', () => {
    assert.equal(localTime('2026-10-25T00:30:00Z'), '2026-10-25T02:30:00+02:00');
    assert.equal(localTime('2026-10-25T01:30:00Z'), '2026-10-25T02:30:00+01:00');
  });
});

for (const zone of [
  'Europe/Berlin',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'America/St_Johns',
  'UTC',
]) {
  describe(`F6: in ${zone}`, () => {
    inZone(zone);
    const start = Date.UTC(2026, 0, 1);
    const someTime = fc.nat(366 * 24 * 60 * 60).map((second) => start + second * 1000);

    test('F6: a time that was printed is read as that time', () => {
      fc.assert(
        fc.property(someTime, (moment) => {
          const text = localTime(iso(moment).replace('.000Z', 'Z'));
          assert.equal(Date.parse(text), moment, text);
          assert.equal(endOfTime(text), moment + 999, text);
          // Without its offset it may be that of an hour later, but never of one before.
          const minute = endOfTime(text.slice(0, 16)) ?? Number.NaN;
          assert.ok(minute >= moment, text);
          assert.equal(localTime(minute).slice(0, 16), text.slice(0, 16));
        }),
      );
    });
  });
}

describe('timeSpan', () => {
  const spans: readonly [number, string][] = [
    [999, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [45 * 60_000 + 59_999, '45 min'],
    [3_600_000, '1 h'],
    [2 * 3_600_000 + 5 * 60_000, '2 h 5 min'],
    [86_400_000 + 60_000, '1 d'],
    [3 * 86_400_000 + 4 * 3_600_000 + 60_000, '3 d 4 h'],
  ];
  for (const [milliseconds, text] of spans) {
    test(`of ${milliseconds} ms is ${text}`, () => assert.equal(timeSpan(milliseconds), text));
  }
});
