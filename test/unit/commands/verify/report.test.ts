import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describeAsJson, describeAsText } from '../../../../src/commands/verify/report.js';
import { Differences, MOST_RANGES } from '../../../../src/pipeline/compare.js';

function findings(ranges: number, repairedBytes = 0, full = true) {
  const found = new Differences();
  for (let i = 0; i < ranges; i++) found.add(i * 65536, 4096);
  const names = { source: '/dev/vg/mail', destination: 'backup:/dev/vg1/\x1b[2Jmail' };
  const sizes = { comparedBytes: 24 * 1024 * 1024, sourceBytes: 64 * 1024 * 1024 };
  return { ...names, ...sizes, full, found, repairedBytes };
}

describe('what a verify found', () => {
  test('is one line where nothing differs', () => {
    assert.equal(
      describeAsText(findings(0)),
      'backup:/dev/vg1/\\x1b[2Jmail equals /dev/vg/mail: 24.0 MiB compared\n',
    );
  });

  test('F3: says where only what changed was compared', () => {
    assert.equal(
      describeAsText(findings(0, 0, false)),
      'backup:/dev/vg1/\\x1b[2Jmail equals /dev/vg/mail in the changed blocks: 24.0 MiB compared; --full compares all 64.0 MiB\n',
    );
  });

  test('lists the first ten ranges, counts all, and lets no name act on a terminal', () => {
    const [head, ...rows] = describeAsText(findings(12)).split('\n');
    assert.equal(
      head,
      'backup:/dev/vg1/\\x1b[2Jmail differs from /dev/vg/mail in 12 ranges, 48.0 KiB of 24.0 MiB compared:',
    );
    assert.equal(rows.length, 12);
    assert.equal(rows[0], '  byte 0 to 4095 (4.0 KiB)');
    assert.equal(rows[9], '  byte 589824 to 593919 (4.0 KiB)');
    assert.deepEqual(rows.slice(10), ['  and 2 more', '']);
  });

  test('says what was sent before', () => {
    assert.match(describeAsText(findings(0, 8192)), /^8\.0 KiB sent\. backup/);
    assert.match(describeAsText(findings(1, 8192)), /^8\.0 KiB sent\. .* in 1 range, /);
  });

  test('is one JSON object for a program', () => {
    const { found: _, ...rest } = findings(0);
    const about = { equal: true, differentBytes: 0, differentRanges: 0, firstRanges: [] };
    assert.deepEqual(JSON.parse(describeAsJson(findings(0))), { ...rest, ...about });
    const { equal, differentBytes, firstRanges } = JSON.parse(describeAsJson(findings(12)));
    assert.deepEqual([equal, differentBytes, firstRanges.length], [false, 49152, 10]);
  });
});

describe('differences', () => {
  test('are counted past the number that is kept', () => {
    const found = new Differences();
    for (let i = 0; i <= MOST_RANGES; i++) found.add(i * 8192, 4096);
    assert.deepEqual([found.count, found.bytes], [MOST_RANGES + 1, (MOST_RANGES + 1) * 4096]);
    assert.equal(found.list(), undefined);
    assert.deepEqual(found.first(1), [{ offset: 0, length: 4096 }]);
  });
});
