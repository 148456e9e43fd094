import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type ConfigSection,
  type ConfigValue,
  findInteger,
  findSection,
  findString,
  findTexts,
  LvmConfigError,
  parseLvmConfig,
} from '../../../src/lvm/lvm-config.js';

const golden = (name: string) =>
  readFileSync(new URL(`../../../../test/golden/${name}/vgcfgbackup.txt`, import.meta.url), 'utf8');

const valueIn = (text: string) => parseLvmConfig(`key = ${text}`).values.get('key');

describe('parseLvmConfig', () => {
  test('reads the snapshot segment out of genuine metadata', () => {
    const root = parseLvmConfig(golden('thick-64k'));
    assert.equal(findString(root, 'contents'), 'Text Format Volume Group');
    const segment = findSection(root, 'vg0', 'logical_volumes', 'snapshot0', 'segment1');
    assert.ok(segment !== undefined);
    assert.equal(findString(segment, 'type'), 'snapshot');
    assert.equal(findString(segment, 'origin'), 'my-data');
    assert.equal(findString(segment, 'cow_store'), 'snap');
    assert.equal(findInteger(segment, 'chunk_size'), 128);
    const names = [...(findSection(root, 'vg0', 'logical_volumes')?.sections.keys() ?? [])];
    assert.deepEqual(names, ['my-data', 'copy', 'snap', 'snapshot0']);
  });

  test('reads the flags of a volume, one or many or none', () => {
    const flagsIn = (text: string) => findTexts(parseLvmConfig(text), 'status');
    assert.deepEqual(flagsIn('status = ["READ", "WRITE", 1]'), ['READ', 'WRITE']);
    assert.deepEqual(flagsIn('status = "READ"'), ['READ']);
    assert.deepEqual(flagsIn('status = []'), []);
    assert.deepEqual(flagsIn('other = 1'), []);
  });

  test('reads the thin segment out of genuine metadata', () => {
    const root = parseLvmConfig(golden('thin-64k'));
    const segment = findSection(root, 'vg0', 'logical_volumes', 'snap', 'segment1');
    assert.deepEqual(
      [...(segment?.values ?? [])],
      [
        ['start_extent', 0],
        ['extent_count', 8],
        ['type', 'thin'],
        ['thin_pool', 'pool'],
        ['transaction_id', 2],
        ['device_id', 3],
        ['origin', 'my-data'],
      ],
    );
    const stripes = findSection(root, 'vg0', 'logical_volumes', 'pool_tdata', 'segment1');
    assert.deepEqual(stripes?.values.get('stripes'), ['pv0', 1]);
  });

  const values: readonly (readonly [string, ConfigValue])[] = [
    ['""', ''],
    ['"a b"', 'a b'],
    ['"say \\"hi\\""', 'say "hi"'],
    ['"back\\\\slash"', 'back\\slash'],
    ['"\\\\"', '\\'],
    ['"a\\nb"', 'a\\nb'],
    ['"two\nlines"', 'two\nlines'],
    ['"# no comment"', '# no comment'],
    ['"] } = {"', '] } = {'],
    ['0', 0],
    ['-0', 0],
    ['-17', -17],
    ['+17', 17],
    ['1.5', 1.5],
    ['-0.25', -0.25],
    ['.5', 0.5],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['9007199254740993', 9007199254740993n],
    ['-9223372036854775808', -(2n ** 63n)],
    ['+18446744073709551615', 2n ** 64n - 1n],
    ['[]', []],
    ['[ ]', []],
    ['["a"]', ['a']],
    ['["a", 1, -2, 2.5]', ['a', 1, -2, 2.5]],
    ['[ # a comment\n "a" , # another\n\t"b"\n]', ['a', 'b']],
    ['[[], ["a", [1]]]', [[], ['a', [1]]]],
  ];
  for (const [text, value] of values) {
    test(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(valueIn(text), value));
  }

  test('reads names with every character that LVM allows', () => {
    const root = parseLvmConfig('a-b_c.d+e9 { 7.x- = 1 }\n"quoted name" = 2 __proto__ = 3');
    const inner = findSection(root, 'a-b_c.d+e9');
    assert.equal(inner && findInteger(inner, '7.x-'), 1);
    assert.equal(findInteger(root, 'quoted name'), 2);
    assert.equal(findInteger(root, '__proto__'), 3);
  });

  test('needs no blanks and ignores comments to the end of the line', () => {
    const root = parseLvmConfig('a{b=1 c{}}# end } {\r\nd=[1]#x');
    assert.deepEqual([...(findSection(root, 'a')?.values ?? [])], [['b', 1]]);
    assert.deepEqual(root.values.get('d'), [1]);
  });

  const faults = [
    ['a = 1\nb = ', 2, 'a value is missing'],
    ['a = 1\n\n}', 3, '"}" without a section'],
    ['a {\nb = 1\n', 3, 'section "a" has no end'],
    ['a = "open\nstring', 1, 'a string has no end'],
    ['a = "ends in \\"', 1, 'a string has no end'],
    ['a\n1', 2, '"=" or "{" is missing after "a"'],
    ['a = [1 2]', 1, '"," or "]" is missing'],
    ['a = [1, ', 1, 'a value is missing'],
    ['a = [1,,2]', 1, 'a value is missing'],
    ['a = ]', 1, 'a value is missing'],
    ['= 1', 1, 'a name is missing'],
    ['a = 1\na = 2', 2, '"a" occurs twice'],
    ['a { }\na = 2', 2, '"a" occurs twice'],
    ['a = 12x', 1, 'of an unknown form'],
    ['a = 1-2', 1, 'of an unknown form'],
    ['a = 0x10', 1, 'of an unknown form'],
    ['a = -', 1, 'of an unknown form'],
    ['a = word', 1, 'of an unknown form'],
    [`a = ${'9'.repeat(400)}`, 1, 'too large'],
  ] as const;
  for (const [text, line, reason] of faults) {
    test(`refuses ${JSON.stringify(text.slice(0, 20))} and names the line`, () => {
      assert.throws(
        () => parseLvmConfig(text),
        (error) =>
          error instanceof LvmConfigError &&
          error.line === line &&
          error.exitStatus === 10 &&
          error.message.startsWith(`LVM metadata, line ${line}: `) &&
          error.message.includes(reason),
      );
    });
  }

  test('refuses nesting without end instead of exhausting the stack', () => {
    assert.throws(() => parseLvmConfig('a {'.repeat(100_000)), /line 1: sections are nested/);
    assert.throws(() => parseLvmConfig(`a = ${'['.repeat(100_000)}`), /line 1: lists are nested/);
  });

  test('reads a group of 5,000 volumes', () => {
    const volume = (n: number) =>
      `lv${n} { id = "x" flags = [] segment1 { stripes = [ "pv0", ${n} ] } } # comment\n`;
    const text = `vg { logical_volumes {\n${Array.from({ length: 5000 }, (_, n) => volume(n)).join('')}} }`;
    const volumes = findSection(parseLvmConfig(text), 'vg', 'logical_volumes');
    assert.equal(volumes?.sections.size, 5000);
    assert.deepEqual(
      volumes?.sections.get('lv4999')?.sections.get('segment1')?.values,
      new Map([['stripes', ['pv0', 4999]]]),
    );
  });

  test('reads one string of 20 MB', () => {
    const content = 'x\\y'.repeat(7_000_000);
    assert.equal(valueIn(`"${content}"`), content);
  });

  test('gives back any tree that is written in the format', () => {
    fc.assert(
      fc.property(tree, (root) => {
        assert.deepEqual(parseLvmConfig(format(root)), root);
      }),
    );
  });

  test('either reads or refuses any text with its own error', () => {
    const letters = fc.constantFrom(...'ab"\\[]{}=#,.-+09 \n\t', 'key = ', '"x" ', '{ ', '} ');
    const texts = fc.oneof(
      fc.array(letters, { maxLength: 200 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          parseLvmConfig(text);
        } catch (error) {
          assert.ok(error instanceof LvmConfigError, String(error));
        }
      }),
      { numRuns: 5000 },
    );
  });

  test('refuses or reads genuine metadata that was cut at any byte', () => {
    const text = golden('thick-4k');
    for (let length = 0; length < text.length; length += 1) {
      try {
        parseLvmConfig(text.slice(0, length));
      } catch (error) {
        assert.ok(error instanceof LvmConfigError, `${length}: ${error}`);
      }
    }
  });
});

describe('the accessors', () => {
  const root = parseLvmConfig('s = "x" i = 5 f = 1.5 big = 9007199254740993 l = [1] sub { }');

  test('answer undefined for what is not there', () => {
    assert.equal(findString(root, 'none'), undefined);
    assert.equal(findInteger(root, 'none'), undefined);
    assert.equal(findSection(root, 'sub', 'none', 'deeper'), undefined);
    assert.equal(findSection(root, 's'), undefined);
  });

  for (const key of ['s', 'f', 'big', 'l']) {
    test(`refuse ${key} as an integer`, () => {
      assert.throws(() => findInteger(root, key), {
        message: `LVM metadata: ${key} is not an integer of at most 53 bits`,
      });
    });
  }

  for (const key of ['i', 'f', 'big', 'l']) {
    test(`refuse ${key} as a string`, () => {
      assert.throws(() => findString(root, key), {
        message: `LVM metadata: ${key} is not a string`,
      });
    });
  }
});

const key = fc.stringMatching(/^[A-Za-z0-9+_.-]{1,12}$/);
const number = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: -1e6, max: 1e6 }).map((thousandths) => thousandths / 1000 || 0),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n }),
  fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
);
const { value } = fc.letrec<{ value: ConfigValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: 'binary' }),
    number,
    fc.array(tie('value'), { maxLength: 4 }),
  ),
}));
const { section: tree } = fc.letrec<{ section: ConfigSection }>((tie) => ({
  section: fc
    .record({
      values: fc.dictionary(key, value, { maxKeys: 4 }),
      sections: fc.oneof(
        { maxDepth: 4 },
        fc.constant({}),
        fc.dictionary(key, tie('section'), { maxKeys: 3 }),
      ),
    })
    .map(({ values, sections }) => ({
      values: new Map(Object.entries(values)),
      sections: new Map(Object.entries(sections).filter(([name]) => !Object.hasOwn(values, name))),
    })),
}));

/** The writer of the format: LVM's own escapes, one entry in a line, comments here and there. */
function format(section: ConfigSection): string {
  const entries = [...section.values].map(([name, item]) => `${name} = ${formatValue(item)} # c\n`);
  const sections = [...section.sections].map(([name, inner]) => `${name} {\n${format(inner)}}\n`);
  return [...entries, ...sections].join('');
}

function formatValue(item: ConfigValue): string {
  if (typeof item === 'string') return `"${item.replace(/["\\]/g, '\\$&')}"`;
  if (typeof item === 'object') return `[${item.map(formatValue).join(', ')}]`;
  return String(item);
}
