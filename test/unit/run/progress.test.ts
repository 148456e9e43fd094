import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type Fill,
  formatProgress,
  type Progress,
  ProgressMeter,
  sumOfPacked,
} from '../../../src/run/progress.js';

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
    test(text, () => {
      const rate = mibPerSecond === undefined ? undefined : mibPerSecond * MIB;
      assert.equal(formatProgress(progress, rate), text);
    });
  }
});

describe('a line of progress', () => {
  const packed = { plainBytes: 4.2 * MIB, packedBytes: 2 * MIB };
  const fills: readonly Fill[] = [
    { name: 'vg/snap', what: 'COW store', percent: 12.9 },
    { name: 'vg/pool', what: 'data', percent: 3 },
    { name: 'vg/pool', what: 'metadata', percent: 99.99 },
  ];
  const whole =
    'Sending 1.5 MiB of 3.0 MiB (50.0%), 512.0 KiB/s, 0:03 left, COW 12%, pool 99%, LZ4 2.1x';

  test('tells how full the stores are, of a pool its fuller part, and how far the stream shrinks', () => {
    assert.equal(formatProgress({ ...sending(1.5, 3), packed }, MIB / 2, { fills }), whole);
  });

  const widths: readonly [width: number, text: string][] = [
    [87, whole],
    [86, 'Sending 1.5 MiB of 3.0 MiB (50.0%), 512.0 KiB/s, 0:03 left, COW 12%, pool 99%'],
    [76, 'Sending 1.5 MiB of 3.0 MiB (50.0%), 512.0 KiB/s, 0:03 left'],
    [57, 'Sending 1.5 MiB of 3.0 MiB (50.0%), 512.0 KiB/s'],
    [46, 'Sending 1.5 MiB of 3.0 MiB (50.0%)'],
    [20, 'Sending 1.5 MiB of 3'],
    [1, 'S'],
  ];
  for (const [width, text] of widths) {
    test(`in ${width} columns is: ${text}`, () => {
      const line = formatProgress({ ...sending(1.5, 3), packed }, MIB / 2, { fills, width });
      assert.equal(line, text);
      assert.ok(line.length <= width);
    });
  }

  test('says nothing of a compression that has not begun', () => {
    const nothing = { plainBytes: 0, packedBytes: 0 };
    assert.equal(formatProgress({ ...sending(7), packed: nothing }, undefined), 'Sending 7.0 MiB');
  });

  test('adds up the streams of a run', () => {
    assert.deepEqual(sumOfPacked([packed, packed, { plainBytes: 1, packedBytes: 2 }]), {
      plainBytes: 8.4 * MIB + 1,
      packedBytes: 4 * MIB + 2,
    });
  });
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

  test('knows no rate from one report', () => {
    assert.equal(rateAfter([1000, 500]), undefined);
  });

  test('counts from the first report, not from the start of the clock', () => {
    assert.equal(rateAfter([5000, 1000], [7000, 5000]), 2000);
  });

  test('follows the last ten seconds', () => {
    assert.equal(rateAfter([0, 0], [1000, 1_000_000], [11_000, 1_000_010]), 1);
  });

  test('gives a rate where reports are further apart than ten seconds', () => {
    assert.equal(rateAfter([0, 0], [20_000, 40_000], [60_000, 80_000]), 1000);
  });

  test('starts anew where the count goes back', () => {
    assert.equal(rateAfter([0, 0], [1000, 9000], [2000, 100]), undefined);
  });

  test('keeps the first of many reports at nearly one time', () => {
    assert.equal(rateAfter([0, 0], [100, 100], [199, 150], [400, 800]), 2000);
  });
});
