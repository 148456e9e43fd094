import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LvmsyncError } from '../../../../src/base/errors.js';
import {
  readThinDump,
  type ThinDumpLimits,
  ThinDumpScanner,
} from '../../../../src/lvm/thin/thin-dump.js';
import { goldenPath } from '../../../helpers/golden.js';

type Triples = readonly (readonly [begin: number, data: number, length: number])[];

interface Scan {
  readonly deviceId?: number;
  /** Bytes in one piece. */
  readonly piece?: number;
  readonly limits?: Partial<ThinDumpLimits>;
}

function scan(text: string | Uint8Array, { deviceId = 1, piece = 1 << 20, limits }: Scan = {}) {
  const bytes = Buffer.from(text);
  const scanner = new ThinDumpScanner(deviceId, limits);
  const batches = [];
  for (let at = 0; at < bytes.length; at += piece) {
    batches.push(...scanner.push(bytes.subarray(at, at + piece)));
  }
  batches.push(...scanner.end());
  return batches;
}

function triples(text: string | Uint8Array, how: Scan = {}): Triples {
  const numbers = scan(text, how).flatMap(({ runs }) => [...runs]);
  return Array.from({ length: numbers.length / 3 }, (_, index) => {
    const [begin = 0, data = 0, length = 0] = numbers.slice(3 * index);
    return [begin, data, length];
  });
}

function refusal(text: string | Uint8Array, how: Scan = {}): string {
  try {
    triples(text, how);
  } catch (error) {
    assert.ok(error instanceof LvmsyncError, String(error));
    assert.equal(error.exitStatus, 18);
    assert.match(error.message, /^thin_dump: its output cannot be used: [^\n]+ \(at byte \d+\)$/);
    return error.message;
  }
  return 'accepted';
}

const SUPERBLOCK =
  '<superblock uuid="" time="1" transaction="2" version="2" data_block_size="128" nr_data_blocks="0">';

function device(mappedBlocks: number | string, content: string, id = 1): string {
  return `<device dev_id="${id}" mapped_blocks="${mappedBlocks}" transaction="0" creation_time="0" snap_time="1">${content}</device>`;
}

function pool(content: string): string {
  return `${SUPERBLOCK}${content}</superblock>`;
}

function single(block: number | string, data: number | string = block): string {
  return `<single_mapping origin_block="${block}" data_block="${data}" time="0"/>\n`;
}

function range(begin: number | string, data: number | string, length: number | string): string {
  return `<range_mapping origin_begin="${begin}" data_begin="${data}" length="${length}" time="0"/>\n`;
}

function* permutations<T>(items: readonly T[]): Generator<T[], void> {
  if (items.length === 0) yield [];
  for (const [index, item] of items.entries()) {
    for (const rest of permutations(items.filter((_, other) => other !== index)))
      yield [item, ...rest];
  }
}

const genuine = (name: string) => readFileSync(goldenPath(name));
const two = genuine('thin-64k/thin_dump-0.9.0-two-devices.xml');
const shared = genuine('thin_dump-1.1.0-shared.xml');

describe('ThinDumpScanner', () => {
  test('reads the wanted device of a dump of 0.9.0', () => {
    const older = [
      [0, 16, 192],
      [320, 208, 16],
    ];
    assert.deepEqual(triples(two, { deviceId: 3 }), older);
    assert.deepEqual(triples(genuine('thin-64k/thin_dump-0.9.0.xml'), { deviceId: 3 }), older);
    assert.equal(triples(two).length, 9);
  });

  test('puts the shared mappings of a dump of 1.1.0 where they belong', () => {
    assert.deepEqual(triples(shared), [
      [0, 0, 30000],
      [40000, 50000, 1],
      [40001, 50002, 1],
    ]);
    assert.deepEqual(triples(shared, { deviceId: 2 }), [
      [0, 0, 30000],
      [40000, 50001, 1],
    ]);
  });

  test('says the size of data blocks in bytes, also where nothing is mapped', () => {
    const text = pool(device(0, '')).replace('"128"', '"384"');
    const [batch, ...others] = scan(text);
    assert.equal(batch?.superblock.dataBlockSize, 192 * 1024);
    assert.deepEqual([batch?.runs.length, others.length], [0, 0]);
  });

  const forms: readonly (readonly [string, string])[] = [
    ['an XML declaration', `<?xml version="1.0" encoding="utf-8"?>\n${pool(device(1, single(7)))}`],
    [
      'comments',
      `<!-- a --><!---->${pool(`<!-- <device> -- "' -->${device(1, single(7))}`)}<!--z-->`,
    ],
    ['single quotes', pool(device(1, single(7))).replaceAll('"', "'")],
    [
      'blanks',
      pool(device(1, single(7)))
        .replaceAll('=', ' = \n')
        .replaceAll('/>', '\t/>\r\n'),
    ],
    ['a closing tag with a blank', `${pool(device(1, single(7))).slice(0, -1)} >\n\n`],
    [
      'another order of attributes',
      pool(device(1, '<single_mapping time="3" data_block="7" origin_block="7"/>')),
    ],
    ['attributes it does not know', pool(device(1, single(7).replace('/>', ' new="a > b"/>')))],
    ['no time', pool(device(1, single(7).replace(' time="0"', '')))],
    [
      'empty devices around',
      pool(`${device(0, '', 5)}<device dev_id="6"/>${device(1, single(7))}`),
    ],
    ['devices it need not read', pool(device(9, range(0, 0, '1e9'), 2) + device(1, single(7)))],
    ['a superblock with flags', pool(device(1, single(7))).replace('time=', 'flags="0" time=')],
    ['leading zeros', pool(device('0001', single('007')))],
  ];
  for (const [name, text] of forms) {
    test(`understands ${name}`, () => assert.deepEqual(triples(text), [[7, 7, 1]]));
  }

  test('expands a <ref> in a <def>, and the same <def> for several devices', () => {
    const defs = `<def name="a">${range(0, 100, 5)}</def><def name="b"><ref name="a"/>${single(9)}</def><def name="none"/>`;
    const text = pool(
      `${defs}${device(6, '<ref name="none"/><ref name="b"/>')}${device(7, `<ref name="b"/>${single(20)}`, 2)}`,
    );
    const expected = [
      [0, 100, 5],
      [9, 9, 1],
    ];
    assert.deepEqual(triples(text), expected);
    assert.deepEqual(triples(text, { deviceId: 2 }), [...expected, [20, 20, 1]]);
  });

  test('finds the same in whichever order each <def> and the devices come', () => {
    const parts = [
      `<def name="a">${range(0, 100, 5)}</def>`,
      `<def name="b"><ref name="a"/>${single(9)}</def>`,
      `<def name="c">${single(20)}</def>`,
      '<def name="none"/>',
      device(
        10,
        `<ref name="none"/><ref name="b"/>${single(12)}<ref name="c"/>${single(21)}${single(30)}`,
      ),
      device(8, `<ref name="b"/>${single(10)}${single(40)}`, 2),
    ];
    const expected = triples(pool(parts.join('')));
    assert.deepEqual(
      expected.map(([begin]) => begin),
      [0, 9, 12, 20, 21, 30],
    );
    let orders = 0;
    for (const order of permutations(parts)) {
      const text = pool(order.join(''));
      assert.deepEqual(triples(text), expected, text);
      assert.deepEqual(triples(text, { piece: 7, limits: { batchRuns: 2 } }), expected, text);
      assert.equal(triples(text, { deviceId: 2 }).length, 4);
      orders++;
    }
    assert.equal(orders, 720);
  });

  test('finds the same in the words of thin_dump and in any others', () => {
    const block = fc.integer({ min: 0, max: 9 });
    const gap = fc.oneof({ weight: 4, arbitrary: block }, fc.nat(2 ** 40));
    const run = fc.record({
      gap,
      data: fc.nat(2 ** 45),
      length: fc.integer({ min: 1, max: 3 }),
    });
    const property = fc.property(fc.array(run), fc.integer({ min: 1, max: 300 }), (runs, piece) => {
      let end = 0;
      let blocks = 0;
      const lines = runs.map(({ gap, data, length }) => {
        const begin = end + gap;
        end = begin + length;
        blocks += length;
        return `    ${length === 1 ? single(begin, data) : range(begin, data, length)}`;
      });
      const text = pool(device(blocks, `\n${lines.join('')}  `));
      const read = triples(text, { piece });
      assert.equal(read.length, runs.length);
      assert.deepEqual(triples(text.replaceAll('"', "'"), { piece }), read);
    });
    fc.assert(property, { numRuns: 500 });
  });

  test('finds the same in pieces of any size', () => {
    for (const bytes of [two, shared]) {
      const whole = triples(bytes);
      for (let piece = 1; piece < 200; piece++) assert.deepEqual(triples(bytes, { piece }), whole);
    }
  });

  test('hands out batches that are no larger than asked for, a <ref> cut up as well', () => {
    const runs = [0, 2, 4, 6, 8, 10, 12].map((block) => single(block)).join('');
    const text = pool(
      `<def name="a">${runs}</def>${device(7, '<ref name="a"/>')}${device(7, runs, 2)}`,
    );
    for (const deviceId of [1, 2]) {
      const batches = scan(text, { deviceId, limits: { batchRuns: 3 } });
      assert.deepEqual(
        batches.map((batch) => batch.runs.length / 3),
        [3, 3, 1],
      );
    }
  });

  test('refuses a dump that is cut, at whichever byte', () => {
    for (const bytes of [two, shared, Buffer.from(pool(device(1, single(1))))]) {
      const complete = bytes.toString('latin1').trimEnd().length;
      for (let length = 0; length < complete; length++) {
        assert.match(refusal(bytes.subarray(0, length)), /it ends too early/, `at ${length}`);
      }
      assert.equal(refusal(bytes.subarray(0, complete)), 'accepted');
    }
  });

  test('accepts no change of a byte that changes how much is mapped', () => {
    const text = pool(device(4, `${single(3)}${range(5, 70, 3)}`));
    const position = fc.nat(text.length - 1);
    const property = fc.property(position, fc.integer({ min: 0x20, max: 0x7e }), (at, byte) => {
      const damaged = `${text.slice(0, at)}${String.fromCharCode(byte)}${text.slice(at + 1)}`;
      if (refusal(damaged) !== 'accepted') return;
      const lengths = triples(damaged).map(([, , length]) => length);
      assert.deepEqual(lengths, [1, 3]);
    });
    fc.assert(property, { numRuns: 2000 });
  });

  const unusable: readonly (readonly [why: string, text: string, message: RegExp])[] = [
    ['nothing', '', /ends too early/],
    ['what is no XML', 'syntax error: device is busy\n', /there is text/],
    ['text among the tags', pool(device(1, `${single(1)}hello`)), /there is text/],
    ['text after the end', `${pool(device(1, single(1)))}x`, /there is text/],
    ['a second document', pool(device(1, single(1))).repeat(2), /<superblock> is not expected/],
    ['another document', '<diff left="1" right="2"/>', /<diff> is not expected/],
    ['a closed pool', pool('').replace('>', '/>'), /<superblock> is not expected/],
    ['another device only', pool(device(1, single(1), 2)), /device 1 is not in it/],
    ['the device twice', pool(device(1, single(1)).repeat(2)), /device 1 is in it twice/],
    ['the device twice, empty', pool('<device dev_id="1" mapped_blocks="0"/>'.repeat(2)), /twice/],
    ['too few mappings', pool(device(3, range(0, 0, 2))), /have 3 mapped blocks, 2 are listed/],
    ['too many mappings', pool(device(1, range(0, 0, 2))), /have 1 mapped blocks, 2 are listed/],
    ['no mappings', pool('<device dev_id="1" mapped_blocks="2"/>'), /have 2 mapped blocks, 0/],
    ['overlapping mappings', pool(device(5, range(0, 0, 4) + single(3, 9))), /overlap/],
    ['descending mappings', pool(device(2, single(5) + single(4))), /out of order/],
    ['the same block twice', pool(device(2, single(5) + single(5))), /overlap/],
    ['a length of 0', pool(device(0, range(0, 0, 0))), /an impossible length/],
    ['an absurd length', pool(device('1', range(0, 0, '1000000000000000000'))), /'length' of/],
    ['a sum beyond the last block', pool(device(2, range(2 ** 48 - 1, 0, 2))), /impossible/],
    ['data beyond the last block', pool(device(2, range(0, 2 ** 48, 1))), /impossible/],
    ['a number with an exponent', pool(device(1, single('1e3'))), /'origin_block' of <single_map/],
    ['a negative number', pool(device(1, single(1, '-1'))), /'data_block' of/],
    ['a number of nothing', pool(device(1, single(''))), /'origin_block' of/],
    ['a missing number', pool(device(1, '<single_mapping origin_block="1"/>')), /no 'data_block'/],
    ['an attribute twice', pool(device(1, single(1).replace('time', 'data_block'))), /malformed/],
    ['a device id of 25 bits', pool(device(0, '', 2 ** 24)), /'dev_id' of <device>/],
    ['no size of data blocks', pool('').replace('data_block_size', 'size'), /no 'data_block_size'/],
    ['data blocks of 0', pool('').replace('"128"', '"0"'), /blocks of 0 sectors/],
    ['data blocks of 100 KiB', pool('').replace('"128"', '"200"'), /blocks of 200 sectors/],
    ['data blocks of 2 GiB', pool('').replace('"128"', '"4194304"'), /'data_block_size' of/],
    ['an element it does not know', pool('<devices/>'), /<devices> is not expected there/],
    ['an unknown mapping', pool(device(1, '<mapping a="1"/>')), /<mapping> is not expected/],
    ['an unknown mapping elsewhere', pool(device(1, '<x/>', 2)), /<x> is not expected there/],
    ['an open mapping', pool(device(1, single(1).replace('/>', '>'))), /is not expected there/],
    ['devices in devices', pool(device(0, device(0, '', 2))), /<device> is not expected there/],
    ['a wrong end', pool('<device dev_id="1" mapped_blocks="0"></def>'), /<\/def> is not expected/],
    ['an early end', `${SUPERBLOCK}<device dev_id="1" mapped_blocks="0"></superblock>`, /not exp/],
    ['a wrong last end', `${SUPERBLOCK}</device>`, /<\/device> is not expected there/],
    ['an undefined name', pool(device(1, '<ref name="a"/>')), /names an unknown <def>/],
    [
      'an undefined name in a <def>',
      pool(`<def name="b"><ref name="a"/></def>${device(1, single(1))}`),
      /names an unknown <def>/,
    ],
    ['a cycle of one', pool('<def name="a"><ref name="a"/></def>'), /back into its own <def>/],
    [
      'a cycle of two',
      pool('<def name="a"><ref name="b"/></def><def name="b"><ref name="a"/></def>'),
      /back into its own <def>/,
    ],
    [
      'a cycle behind a device',
      pool(
        `${device(0, '<ref name="a"/>')}<def name="a"><ref name="b"/></def><def name="b"><ref name="a"/></def>`,
      ),
      /back into its own <def>/,
    ],
    ['a name twice', pool('<def name="a"/><def name="a"/>'), /two <def> have the same name/],
    [
      'a name twice, one with a name defined later',
      pool('<def name="a"><ref name="b"/></def><def name="b"/><def name="a"/>'),
      /two <def> have the same name/,
    ],
    [
      'too few mappings around a name defined later',
      pool(`${device(3, `<ref name="a"/>${single(5)}`)}<def name="a">${single(1)}</def>`),
      /have 3 mapped blocks, 2 are listed/,
    ],
    [
      'overlap with a name defined later',
      pool(`${device(2, `<ref name="a"/>${single(1)}`)}<def name="a">${single(1)}</def>`),
      /overlap/,
    ],
    [
      'a device in a device, behind a name defined later',
      pool(device(0, `<ref name="a"/>${device(0, '', 2)}`)),
      /<device> is not expected there/,
    ],
    [
      'a device that ends as another, behind a name defined later',
      pool('<device dev_id="1" mapped_blocks="0"><ref name="a"/></def>'),
      /<\/def> is not expected/,
    ],
    ['an empty name', pool('<def name=""/>'), /the name of <def> is empty or too long/],
    ['a long name', pool(`<def name="${'a'.repeat(65)}"/>`), /is empty or too long/],
    ['no name', pool('<def/>'), /<def> has no 'name'/],
    ['a <def> in a <def>', pool('<def name="a"><def name="b"></def></def>'), /<def> is not exp/],
    ['a device in a <def>', pool('<def name="a"><device dev_id="1"/></def>'), /is not expected/],
    ['overlap in a <def>', pool(`<def name="a">${single(1)}${single(1)}</def>`), /overlap/],
    [
      'a <def> used twice',
      pool(`<def name="a">${single(1)}</def>${device(2, '<ref name="a"/><ref name="a"/>')}`),
      /overlap/,
    ],
    ['a document type', `<!DOCTYPE superblock>${pool('')}`, /document type/],
    ['declared entities', `<!DOCTYPE a [<!ENTITY b "c">]>${pool('')}`, /document type/],
    ['an entity', pool(device('&#49;', single(1))), /entity/],
    ['CDATA', pool('<![CDATA[x]]>'), /CDATA/],
    ['an instruction', pool('<?php 1 ?>'), /instructions/],
    ['a late declaration', pool('<?xml version="1.0"?>'), /declaration is not at the start/],
    ['a tag without a name', pool('< device/>'), /malformed/],
    ['an attribute without quotes', pool(device(1, '<ref name=a/>')), /malformed/],
    ['an attribute without value', pool(device(1, '<ref name/>')), /malformed/],
    ['attributes without a blank', pool(device(1, '<ref name="a"b="c"/>')), /malformed/],
    ['attributes of an end', pool('').replace('</superblock>', '</superblock a="b">'), /malformed/],
    ['a tag in a tag', pool('<device dev_id="1" <ref/>>'), /malformed/],
    ['a tag in a value', pool('<device dev_id="<ref/>"/>'), /malformed/],
    ['a NUL', pool('<device dev_id="1\0"/>'), /malformed/],
    ['a slash before attributes', pool('<device / dev_id="1">'), /malformed/],
    ['an endless tag', `<superblock uuid="${'a'.repeat(5000)}`, /a tag is too long/],
    ['an endless comment', `<!--${'-'.repeat(5000)}`, /a tag is too long/],
    [
      'a crowd of attributes',
      `<superblock ${Array.from({ length: 40 }, (_, index) => `a${index}="b"`).join(' ')}>`,
      /too many attributes/,
    ],
  ];
  for (const [why, text, message] of unusable) {
    test(`refuses ${why}`, () => {
      const words = refusal(text);
      assert.match(words, message);
      assert.equal(refusal(text, { piece: 1 }), words);
    });
  }

  test('is not made to work or store without bound by names within names', () => {
    const nested = Array.from({ length: 20_000 }, (_, depth) => {
      const inner = depth === 0 ? '' : `<ref name="${depth - 1}"/>`;
      return `<def name="${depth}">${inner}${single(depth)}</def>`;
    }).join('');
    assert.match(refusal(pool(nested)), /do not fit in memory/);
    const hollow = Array.from({ length: 200 }, (_, depth) => {
      const inner = depth === 0 ? '' : `<ref name="${depth - 1}"/>`.repeat(200);
      return `<def name="${depth}">${inner}</def>`;
    }).join('');
    assert.deepEqual(triples(pool(`${hollow}${device(0, '<ref name="199"/>')}`)), []);
    const names = '<def name="a"/><def name="b"/><def name="c"/>';
    assert.match(refusal(pool(names), { limits: { sharedRuns: 40 } }), /do not fit in memory/);
  });

  test('is not made to work or store without bound by names that are defined later', () => {
    const refs = (count: number) => '<ref name="a"/>'.repeat(count);
    const many = device(0, refs(2 ** 17));
    assert.match(refusal(pool(`${many}<def name="a"/>`)), /do not fit in memory/);
    const long = device(0, `<ref name="a"/>${[1, 2, 3, 4].map((at) => single(at)).join('')}`);
    const limits = { sharedRuns: 35 };
    assert.match(refusal(pool(`${long}<def name="a"/>`), { limits }), /do not fit in memory/);
    const deep = Array.from(
      { length: 2000 },
      (_, depth) => `<def name="${depth}"><ref name="${depth + 1}"/></def>`,
    ).join('');
    assert.match(refusal(pool(`${deep}<def name="2000"/>`)), /nested too deeply/);
    const doubling = Array.from(
      { length: 40 },
      (_, depth) => `<def name="${depth}">${`<ref name="${depth + 1}"/>`.repeat(2)}</def>`,
    ).join('');
    const text = pool(`${doubling}<def name="40"/>${device(0, '<ref name="0"/>')}`);
    assert.deepEqual(triples(text), []);
  });
});

describe('readThinDump', () => {
  const complete = Buffer.from(pool(device(1, single(1))));

  async function* bytesOf(...pieces: Uint8Array[]) {
    yield* pieces;
  }

  test('does not hand out the last batch of a tool that failed', async () => {
    const ended = Promise.reject(new Error('thin_dump ended with status 1'));
    const batches = readThinDump({ stdout: bytesOf(complete), ended }, 1);
    await assert.rejects(batches.next(), /ended with status 1/);
  });

  test("prefers the tool's own words to those about the output it cut", async () => {
    const ended = Promise.reject(new Error('thin_dump: bad checksum'));
    const batches = readThinDump({ stdout: bytesOf(complete.subarray(0, 150)), ended }, 1);
    await assert.rejects(batches.next(), /bad checksum/);
  });
});
