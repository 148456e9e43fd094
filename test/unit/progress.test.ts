import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatProgress, type Progress, ProgressMeter } from '../../src/progress.js';

const MIB = 1024 ** 2;

function sending(doneMib: number, totalMib?: number): Progress {
  const totalBytes = totalMib === undefined ? undefined : totalMib * MIB;
  return { activity: 'Sending', doneBytes: doneMib * MIB, totalBytes };
}

describe('progress text', () => {
  const rows: readonly [progress: Progress, mibPerSecond: number | undefined, text: string][] = [
    [sending(1.5, 3), 0.5, 'Sending 1.5 MiB of 3.0 MiB (50.0%), 512.0 KiB/s, 0:03 left'],
    [sending(1.5, 3), undefined, 'Sending 1.5 MiB of 3.0 MiB (50.0%)'],
    [sending(1.5, 3), 0, 'Sending 1.5 MiB of 3.0 MiB (50.0%), 0 B/s'],
    [sending(7), 2, 'Sending 7.0 MiB, 2.0 MiB/s'],
    [sending(0, 0), undefined, 'Sending 0 B of 0 B (100.0%)'],
    [sending(2999.9, 3000), undefined, 'Sending 2.9 GiB of 2.9 GiB (99.9%)'],
    [sending(4, 3), 1, 'Sending 4.0 MiB of 3.0 MiB (100.0%), 1.0 MiB/s, 0:00 left'],
  ];
  for (const [progress, mibPerSecond, text] of rows) {
    it(text, () => {
      const rate = mibPerSecond === undefined ? undefined : mibPerSecond * MIB;
      assert.equal(formatProgress(progress, rate), text);
    });
  }
});

describe('progress meter', () => {
  function rateAfter(...reports: readonly [at: number, bytes: number][]): number | undefined {
    const meter = new ProgressMeter();
    let rate: number | undefined;
    for (const [at, doneBytes] of reports) {
      const progress = { activity: '', doneBytes, totalBytes: undefined };
      meter.note(progress, at);
      rate = meter.bytesPerSecond(progress, at);
    }
    return rate;
  }

  it('knows no rate from one report', () => {
    assert.equal(rateAfter([1000, 500]), undefined);
  });

  it('counts from the first report, not from the start of the clock', () => {
    assert.equal(rateAfter([5000, 1000], [7000, 5000]), 2000);
  });

  it('follows the last ten seconds', () => {
    assert.equal(rateAfter([0, 0], [1000, 1_000_000], [11_000, 1_000_010]), 1);
  });

  it('gives a rate where reports are further apart than ten seconds', () => {
    assert.equal(rateAfter([0, 0], [20_000, 40_000], [60_000, 80_000]), 1000);
  });

  it('starts anew where the count goes back', () => {
    assert.equal(rateAfter([0, 0], [1000, 9000], [2000, 100]), undefined);
  });

  it('keeps the first of many reports at nearly one time', () => {
    assert.equal(rateAfter([0, 0], [100, 100], [199, 150], [400, 800]), 2000);
  });
});
