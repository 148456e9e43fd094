/**
 * Fuzzing of the parsers that are written in TypeScript. Whatever the text says, a parser returns what
 * passes its checks or refuses with an error of this program: never another exception, never for ever.
 * What once was found stays in test/faults/corpus and is fed again in each run.
 */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LvmsyncError } from '../../src/base/errors.js';
import { LineSplitter, LONGEST_LINE } from '../../src/base/lines.js';
import { quoteWord, splitWords } from '../../src/base/shell-words.js';
import { parseOptions } from '../../src/cli/option-grammar.js';
import { toCommand } from '../../src/cli/parse.js';
import { parseStatus } from '../../src/lvm/dmsetup-status.js';
import { parseInfo, parseTable } from '../../src/lvm/dmsetup-table.js';
import { parseLvmConfig } from '../../src/lvm/lvm-config.js';
import { listVolumes } from '../../src/lvm/lvs-report.js';
import { readThinDump } from '../../src/lvm/thin/thin-dump.js';
import { parseDestination } from '../../src/remote/destination-name.js';
import { formatAnswer, parseAnswer } from '../../src/stream/answer-lines.js';
import {
  decodeAbort,
  decodeEnd,
  decodeHello,
  encodeHello,
} from '../../src/stream/control-frame.js';
import { Campaign, campaignSize } from '../helpers/faults/campaign.js';
import { type FuzzInput, mutate } from '../helpers/faults/fuzz.js';
import { goldenPath } from '../helpers/golden.js';
import { Random } from '../helpers/random.js';

const random = new Random();

interface Target extends FuzzInput {
  readonly name: string;
  /** Throws LvmsyncError to refuse; anything else is an escape. */
  readonly feed: (bytes: Buffer) => unknown;
}

/** A file of each recorded state of a host. */
function recordedTexts(file: string): Buffer[] {
  const states = goldenPath('lvm-states');
  return readdirSync(states)
    .map((state) => `${states}/${state}/${file}`)
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path));
}

/** Inputs that once made a difference. */
function foundBefore(name: string): Buffer[] {
  const folder = fileURLToPath(new URL(`../../../test/faults/corpus/${name}/`, import.meta.url));
  return existsSync(folder)
    ? readdirSync(folder).map((file) => readFileSync(`${folder}${file}`))
    : [];
}

const texts = (...list: readonly string[]): Buffer[] => list.map((text) => Buffer.from(text));

const SHARED_DUMP = readFileSync(goldenPath('thin_dump-1.1.0-shared.xml'));

/** The runs of device 1 and 2, or the message of the refusal. */
async function runsOf(pieces: readonly Buffer[]): Promise<string> {
  const outcome: number[] = [];
  for (const device of [1, 2]) {
    const dump = { stdout: asStream(pieces), ended: Promise.resolve() } as const;
    try {
      for await (const { runs } of readThinDump(dump as never, device)) outcome.push(...runs);
    } catch (error) {
      if (!(error instanceof LvmsyncError)) throw error;
      return `refused: ${error.message}`;
    }
  }
  return outcome.join(' ');
}

async function* asStream(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}

function linesOf(pieces: readonly Buffer[]): string[] {
  const splitter = new LineSplitter();
  return [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.end()];
}

const TARGETS: readonly Target[] = [
  {
    name: 'lvm-metadata',
    corpus: recordedTexts('vgcfgbackup.txt'),
    dictionary: ['{', '}', '[', ']', '=', '"', '\\', '#', '\n', 'segment1 {', 'extent_count = '],
    feed: (bytes) => parseLvmConfig(bytes.toString()),
  },
  {
    name: 'lvs-report',
    corpus: recordedTexts('lvs.json'),
    dictionary: ['{', '}', '[', ']', '"', ':', ',', 'null', '""', '"report"', '__proto__', '"lv"'],
    feed: (bytes) =>
      listVolumes('vg', () => Promise.resolve({ stdout: bytes.toString(), stderr: '' })),
  },
  {
    name: 'dmsetup-table',
    corpus: recordedTexts('dmsetup-table.txt'),
    dictionary: [' ', '\n', ':', 'snapshot', 'thin', 'thin-pool', 'linear', 'Fail', 'error', '-'],
    feed: (bytes) => parseTable(bytes.toString()),
  },
  {
    name: 'dmsetup-status',
    corpus: recordedTexts('dmsetup-status.txt'),
    dictionary: [' ', '\n', '/', ':', 'Invalid', 'Overflow', 'Fail', 'needs_check', 'ro', '-'],
    feed: (bytes) => parseStatus(bytes.toString()),
  },
  {
    name: 'dmsetup-info',
    corpus: recordedTexts('dmsetup-info.txt'),
    dictionary: [' ', '\n', 'LVM-', '-real', '-cow'],
    feed: (bytes) => parseInfo(bytes.toString()),
  },
  {
    name: 'words',
    corpus: texts(`ssh -i 'my key' -o "A=\\"b\\"" h\\ ost`, `a 'b'\\''c' "d$e\`f" \\\\`, ' x\ty\n'),
    dictionary: ['"', "'", '\\', ' ', '\\\n', '""', "''", '$', '`', '!'],
    feed: (bytes) => {
      const words = splitWords(bytes.toString());
      if (words.some((word) => /[\n\0]/.test(word))) return;
      assert.deepEqual(splitWords(words.map(quoteWord).join(' ')), words);
    },
  },
  {
    name: 'options',
    corpus: (
      JSON.parse(readFileSync(goldenPath('option-parsing.json'), 'utf8')) as { argv: string[] }[]
    ).map(({ argv }) => Buffer.from(argv.join('\n'))),
    dictionary: ['--', '-', '=', '\n', '--no-', '--snapback', '-a', '--since', '\n-\n', '--apply'],
    feed: (bytes) => toCommand(parseOptions(bytes.toString().split('\n'))),
  },
  {
    name: 'destinations',
    corpus: texts('user@host:/dev/vg/lv', '[::1]:/dev/x', '/dev/by-path/pci-0:0', 'a@b@c:~/x'),
    dictionary: [':', '/', '@', '[', ']', '-', ' ', '\u202e', '\0'],
    feed: (bytes) => {
      const { host } = parseDestination(bytes.toString());
      assert.ok(host === undefined || !/^-|[\s\0]/.test(host), `host ${host}`);
    },
  },
  {
    name: 'thin-xml',
    corpus: [
      SHARED_DUMP,
      ...texts(
        '<superblock uuid="" time="1" transaction="2" flags="0" version="2" data_block_size="128" nr_data_blocks="99">\n  <device dev_id="1" mapped_blocks="5" transaction="0" creation_time="0" snap_time="1">\n    <range_mapping origin_begin="0" data_begin="3" length="4" time="0"/>\n    <single_mapping origin_block="9" data_block="8" time="1"/>\n  </device>\n  <device dev_id="2" mapped_blocks="0" transaction="0" creation_time="0" snap_time="1"/>\n</superblock>\n',
      ),
    ],
    dictionary: [
      '<def name="a">',
      '</def>',
      '<ref name="a"/>',
      '<!--',
      '-->',
      '&lt;',
      '<!DOCTYPE ',
    ],
    feed: async (bytes) => {
      const whole = await runsOf([bytes]);
      const at = random.below(bytes.length + 1);
      const cut = await runsOf([bytes.subarray(0, at), bytes.subarray(at)]);
      assert.equal(cut, whole, `cut at ${at}`);
    },
  },
  {
    name: 'frame-payloads',
    corpus: [
      Buffer.from(
        encodeHello({
          kind: 'file',
          streamId: Buffer.alloc(16, 1),
          setId: Buffer.alloc(16, 2),
          streamIndex: 0,
          streamCount: 1,
          deviceSize: 2 ** 40,
          sorted: true,
          totalBytes: 77,
          attributes: { devicePath: '/dev/vg/lv', program: 'lvmsync' },
        }),
      ),
    ],
    dictionary: ['\0\x01', '\0\x03', '/dev/'],
    feed: (bytes) => {
      decodeAbort(Buffer.concat([Buffer.alloc(4), bytes]));
      if (bytes.length >= 50) decodeEnd(bytes);
      const hello = decodeHello(bytes);
      assert.deepEqual(decodeHello(Buffer.from(encodeHello(hello))), hello);
    },
  },
  {
    name: 'answers',
    corpus: texts(
      `lvmsync-ready 1 ${'ab'.repeat(16)} discard`,
      `lvmsync-result 1 ${'ab'.repeat(16)} ok 12 3456 ${'cd'.repeat(16)}`,
      `lvmsync-result 1 ${'ab'.repeat(16)} failed 13 write error`,
    ),
    dictionary: ['lvmsync-', 'ready', 'result', ' ok ', ' failed ', '\x1b[2J', ' '],
    feed: (bytes) => {
      const answer = parseAnswer(bytes.toString());
      if (answer === undefined || answer.kind === 'garbled') return;
      const line = formatAnswer(answer);
      assert.match(line, /^\P{Cc}*\n$/u);
    },
  },
  {
    name: 'lines',
    corpus: texts('one\r\ntwo\rthree\n\nfour', 'x'.repeat(20_000)),
    dictionary: ['\n', '\r', '\r\n', '\u2028', 'ä'],
    feed: (bytes) => {
      const lines = linesOf([bytes]);
      assert.ok(lines.every((line) => line.length <= LONGEST_LINE));
      const at = random.below(bytes.length + 1);
      assert.deepEqual(linesOf([bytes.subarray(0, at), bytes.subarray(at)]), lines, `cut at ${at}`);
    },
  },
];

for (const target of TARGETS) {
  test(`no text upsets the parser: ${target.name}`, async (context) => {
    const found = foundBefore(target.name);
    const runs = campaignSize({ commit: 10_000, release: 1_000_000 });
    const campaign = new Campaign(context, `fuzz ${target.name}`, random.seed);
    assert.ok(target.corpus.length > 0, 'there are texts to begin with');
    const feed = async (bytes: Buffer): Promise<void> => {
      try {
        await target.feed(bytes);
      } catch (error) {
        if (!(error instanceof LvmsyncError)) throw error;
      }
    };
    for (const bytes of [...target.corpus, ...found]) {
      await campaign.run(JSON.stringify(bytes.toString('latin1')), () => feed(bytes));
    }
    for (let run = 0; run < runs; run++) {
      const bytes = mutate(random, target);
      await campaign.run(JSON.stringify(bytes.toString('latin1')).slice(0, 2000), () =>
        feed(bytes),
      );
    }
    campaign.finish(runs);
  });
}
