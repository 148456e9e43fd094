import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../../src/base/errors.js';
import { parseOptions } from '../../../../src/cli/option-grammar.js';
import { toCommand } from '../../../../src/cli/parse.js';
import { advise } from '../../../../src/commands/bench/advice.js';
import { type BenchRow, formatRow, parseRow } from '../../../../src/commands/bench/report.js';
import { resumable, summarize, takeSamples } from '../../../../src/commands/bench/samples.js';

const MIB = 1024 * 1024;

function read(rate: number, order: 'sequential' | 'random' = 'sequential'): BenchRow {
  const requestSize = order === 'random' ? 4096 : MIB;
  return { what: 'read', bytesPerSecond: rate * MIB, requestSize, order, direct: true };
}

function link(rate: number, streams = 1): BenchRow {
  return { what: 'link', bytesPerSecond: rate * MIB, streams };
}

function lz4(rate: number, ratio: number): BenchRow {
  return { what: 'lz4', bytesPerSecond: rate * MIB, ratio };
}

function write(rate: number, host?: string): BenchRow {
  const place = host === undefined ? {} : { host };
  return { what: 'write', bytesPerSecond: rate * MIB, requestSize: MIB, ...place };
}

function hash(rate: number, host?: string): BenchRow {
  return { what: 'hash', bytesPerSecond: rate * MIB, ...(host === undefined ? {} : { host }) };
}

describe('what bench advises', () => {
  const cases: readonly [
    title: string,
    rows: BenchRow[],
    bottleneck: string | undefined,
    options: string,
    rate: number | undefined,
  ][] = [
    ['of nothing', [], undefined, '', undefined],
    ['of the processor alone', [hash(1000)], undefined, '', undefined],
    ['of a source alone', [read(200), hash(1000)], 'read', '', 200],
    ['a slow link', [read(500), hash(1000), link(10), link(10, 4)], 'link', '', 10],
    ['more streams', [read(500), link(10), link(38, 4)], 'link', '--streams 4', 38],
    ['no streams that gain little', [read(500), link(10), link(11, 4)], 'link', '', 10],
    ['no streams where the source is slower', [read(9), link(10), link(38, 4)], 'read', '', 9],
    ['compression', [read(500), link(10), lz4(400, 3)], 'link', '--compress', 30],
    ['none of data that do not shrink', [read(500), link(10), lz4(400, 1.02)], 'link', '', 10],
    ['none where the link is not the limit', [read(9), link(10), lz4(400, 3)], 'read', '', 9],
    ['none that is slower than the link', [read(500), link(300), lz4(200, 3)], 'link', '', 300],
    [
      'compression up to its own speed',
      [read(500), link(100), lz4(150, 3)],
      'lz4',
      '--compress',
      150,
    ],
    ['both', [read(500), link(10), link(40, 4), lz4(400, 2)], 'link', '--streams 4 --compress', 80],
    [
      'streams alone where they are enough',
      [read(30), link(10), link(40, 4), lz4(400, 2)],
      'read',
      '--streams 4',
      30,
    ],
    ['of a slow disk there', [read(500), link(100), write(50, 'b')], 'write', '', 50],
    ['of a slow processor there', [read(500), hash(900), link(100), hash(60, 'b')], 'hash', '', 60],
    ['the best of one host', [write(50), write(20), read(500)], 'write', '', 50],
  ];
  for (const [title, rows, bottleneck, options, rate] of cases) {
    test(`is ${title}`, () => {
      const advice = advise(rows);
      assert.equal(advice.bottleneck, bottleneck);
      assert.equal(advice.options.join(' '), options);
      assert.equal(advice.bytesPerSecond, rate === undefined ? undefined : rate * MIB);
      for (const option of advice.options) assert.ok(advice.text.includes(option));
    });
  }

  test('is said in a sentence, with options that a sync understands', () => {
    const { text } = advise([read(500), link(10), link(40, 4), lz4(400, 2)]);
    assert.equal(
      text,
      'Use --streams 4 --compress: the bottleneck is then the link, at 80.0 MiB per second.',
    );
    const slow = advise([read(100)]).text;
    const [, limit = ''] = /--bwlimit (\S+) /.exec(slow) ?? [];
    assert.equal(limit, '70M');
    const words = ['--streams', '4', '--compress', '--bwlimit', limit, 'a/b', 'c:d'];
    assert.doesNotThrow(() => toCommand(parseOptions(words)));
    assert.match(advise([link(0.001)]).text, /--bwlimit 1K /);
  });

  test('tells of scattered changes where they are read more slowly', () => {
    const { text } = advise([read(500), read(3, 'random'), link(100)]);
    assert.match(text, / in pieces of 4 KiB are read at only 3\.0 MiB per second\.$/);
    assert.doesNotMatch(advise([read(500), read(200, 'random'), link(100)]).text, /scattered/);
  });
});

describe('F25: samples', () => {
  const MB = 1_000_000;

  test('are summed up by the one in the middle and both ends', async () => {
    const rates = [894, 195, 386, 183, 210];
    const samples = rates.map((rate) => ({ bytes: rate * MB, seconds: 1 }));
    const expected = { bytesPerSecond: 210 * MB, lowest: 183 * MB, highest: 894 * MB };
    assert.deepEqual(summarize(samples), expected);
    assert.equal(summarize(samples.slice(0, 4)).bytesPerSecond, ((195 + 386) / 2) * MB);
    assert.equal(summarize([{ bytes: 0, seconds: 0 }]).bytesPerSecond, 0);
    let count = 0;
    await takeSamples(async () => ({ bytes: count++ < 2 ? 1 : 0, seconds: 1 }));
    assert.equal(count, 3);
  });

  test('go on where the last one ended', () => {
    const items = resumable(new Set([1, 2, 3]));
    for (const item of items) {
      assert.equal(item, 1);
      break;
    }
    assert.deepEqual([...items], [2, 3]);
  });

  const range = (row: BenchRow, lowest: number, highest: number): BenchRow => ({
    ...row,
    ...{ lowest: lowest * MIB, highest: highest * MIB },
  });

  test('that are far apart name no bottleneck, where it may be another', () => {
    const busy = advise([range(read(386), 183, 894), range(hash(900), 880, 910), link(2000)]);
    assert.equal(busy.bottleneck, undefined);
    assert.equal(
      busy.text,
      'Too noisy to name a bottleneck: reading the source (183.0 MiB to 894.0 MiB) a second. Measure again when nothing else uses the machine, its disks and the link.',
    );
    const other = advise([range(read(300), 290, 310), range(link(400), 200, 700)]);
    assert.match(other.text, /^Too noisy to name a bottleneck: the link \(/);
  });

  test('that are far apart in a part that is fast all the same do no harm', () => {
    const calm = advise([range(read(100), 95, 105), range(hash(900), 400, 1000)]);
    assert.equal(calm.bottleneck, 'read');
    const packed = [range(link(10), 9, 11), lz4(400, 3), range(read(500), 450, 510)];
    assert.equal(advise(packed).options.join(' '), '--compress');
  });
});

describe('a row of bench', () => {
  const rows: readonly [BenchRow, RegExp][] = [
    [read(1.5, 'random'), /^reading the source, 4 KiB random +1\.5 MiB\n$/],
    [
      { ...read(2), direct: false },
      /^reading the source, 1 MiB sequential +2\.0 MiB {2}through the page cache\n$/,
    ],
    [link(3), /^the link, 1 stream +3\.0 MiB\n$/],
    [
      { ...link(3), lowest: 2 * MIB, highest: 5 * MIB },
      /^the link, 1 stream +3\.0 MiB {2}2\.0 MiB to 5\.0 MiB\n$/,
    ],
    [link(3, 4), /^the link, 4 streams +3\.0 MiB\n$/],
    [lz4(3, 1.234), /^LZ4, 1\.23 to 1 +3\.0 MiB\n$/],
    [hash(3), /^framing and hashing +3\.0 MiB\n$/],
    [write(3, 'back\x1bup'), /^writing, 1 MiB +3\.0 MiB \(back\\x1bup\)\n$/],
  ];
  for (const [row, expected] of rows) {
    test(`reads ${expected}`, () => assert.match(formatRow(row), expected));
  }

  test('comes back from JSON, without what another host may not say', () => {
    const row = { ...read(2), host: 'forged', streams: 'x' };
    assert.deepEqual(parseRow(JSON.stringify(row)), read(2));
    for (const line of [
      '',
      'null',
      '{"what":"advice"}',
      '{"what":"read","bytesPerSecond":"1"}',
      '{"what":"read","bytesPerSecond":-1}',
    ]) {
      assert.equal(parseRow(line), undefined, line);
    }
  });
});

describe('the words of bench', () => {
  const cases: readonly [words: string[], source: string | undefined, host: string | undefined][] =
    [
      [['vg/lv'], 'vg/lv', undefined],
      [['/dev/sda'], '/dev/sda', undefined],
      [['./image'], './image', undefined],
      [['./mail'], './mail', undefined],
      [['backup:'], undefined, 'backup'],
      [['root@backup:'], undefined, 'root@backup'],
      [['vg/lv', 'root@backup:'], 'vg/lv', 'root@backup'],
      [['[fe80::1]:'], undefined, 'fe80::1'],
      [['--scratch', '/x'], undefined, undefined],
    ];
  for (const [words, source, host] of cases) {
    test(`are understood: ${words.join(' ')}`, () => {
      const command = toCommand(parseOptions(['bench', ...words]));
      assert.ok(command.kind === 'bench');
      assert.equal(command.source, source);
      assert.equal(command.host, host);
      assert.equal(command.streams, 4);
    });
  }
  for (const words of [
    [],
    ['a', 'b'],
    ['vg/lv', 'backup'],
    ['vg/lv', 'backup:/dev/vg/lv'],
    ['vg/lv', 'a:', 'b:'],
    ['vg/lv', '-oProxy'],
    ['vg/lv', 'b/c'],
    ['--', '-x:'],
  ]) {
    test(`are refused: ${words.join(' ')}`, () => {
      assert.throws(() => toCommand(parseOptions(['bench', ...words])), LvmsyncError);
    });
  }
});
