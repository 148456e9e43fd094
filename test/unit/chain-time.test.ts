import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { endOfTime } from '../../src/chain-time.js';

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
  ];
  for (const [text, end] of ends) {
    it(`of "${text}" is ${end}`, () => {
      assert.equal(new Date(endOfTime(text) ?? Number.NaN).toISOString(), end);
    });
  }

  it('is in the local time zone without a Z', () => {
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
    '2026-11-23T10:15+01:00',
    '2026-11-23T',
    '20261123',
  ]) {
    it(`is undefined for "${text}"`, () => assert.equal(endOfTime(text), undefined));
  }

  it('of every beginning of a time is no earlier than that time', () => {
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
