/** `lvmsync verify`: with files here, and with programs that stand for ssh. */

import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  assertFails,
  assertSucceeds,
  type CliResult,
  lvmsync,
  startLvmsync,
} from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';

const fixture = new RemoteFixture();
const random = new Random();
const HASHER = fileURLToPath(new URL('../helpers/remote/fake-hasher.js', import.meta.url));
const ORIGINAL = fileURLToPath(new URL('../helpers/remote/fake-rsh-original.js', import.meta.url));
const MIB = 1024 * 1024;

let count = 0;
/** A new file. */
function file(content: Buffer): string {
  const path = fixture.path(`file-${count++}`);
  writeFileSync(path, content);
  return path;
}

function flipBit(path: string, at: number): void {
  const content = readFileSync(path);
  content[at] = (content[at] ?? 0) ^ (1 << random.below(8));
  writeFileSync(path, content);
}

interface Report {
  readonly equal: boolean;
  readonly comparedBytes: number;
  readonly differentBytes: number;
  readonly firstRanges: readonly { readonly offset: number; readonly length: number }[];
}

function reportOf({ stdout }: CliResult): Report {
  return JSON.parse(stdout.toString().split('\n')[0] ?? '') as Report;
}

function assertDiffers(result: CliResult): void {
  assert.equal(result.status, 4, result.stderr);
  assert.doesNotMatch(result.stderr, /FATAL/);
}

/** Each way to the same file: the words of the command line after "verify". */
const WAYS: readonly [way: string, to: (path: string) => string[]][] = [
  ['here', (path) => [path]],
  ['on another host', (path) => ['-e', fixture.goodRsh().command, `backup:${path}`]],
];

for (const [way, to] of WAYS) {
  describe(`a verify of a destination ${way}`, () => {
    test('ends with 0 after a sync, and with 4 before', () => {
      const destination = fixture.copy();
      const words = ['verify', ...fixture.source, ...to(destination)];
      const before = lvmsync(words);
      assertDiffers(before);
      assert.match(
        before.stdout.toString(),
        / differs from .* in 5 ranges, .* of 284\.0 KiB compared:\n/,
      );
      assert.equal(before.stdout.toString().match(/^ {2}byte \d+ to \d+/gm)?.length, 5);
      assert.ok(fixture.isUntouched(destination), 'nothing is written');
      assertSucceeds(lvmsync([...fixture.source, destination]));
      const after = lvmsync(words);
      assertSucceeds(after);
      assert.match(
        after.stdout.toString(),
        / equals .*: 284\.0 KiB compared; --full compares all .*\n$/,
      );
    });

    test('looks only at what a sync would send, or with --full at everything', () => {
      const destination = fixture.copy();
      assertSucceeds(lvmsync([...fixture.source, destination]));
      const same = unchangedByte();
      flipBit(destination, same);
      assertSucceeds(lvmsync(['verify', ...fixture.source, ...to(destination)]));
      const full = lvmsync(['verify', '--full', '--json', ...fixture.source, ...to(destination)]);
      assertDiffers(full);
      const { comparedBytes, firstRanges } = reportOf(full);
      assert.equal(comparedBytes, fixture.origin.length);
      assert.deepEqual(firstRanges, [{ offset: same - (same % 4096), length: 4096 }]);
    });

    test('repairs what differs and nothing else', () => {
      const content = random.bytes(3 * MIB + 1234);
      const source = file(content);
      const destination = file(content);
      const at = random.below(content.length);
      flipBit(destination, at);
      const snapback = fixture.path(`undo-${count++}`);
      const words = ['verify', '--full', '--repair', '-b', snapback, source, ...to(destination)];
      const result = lvmsync(words);
      assertSucceeds(result);
      assert.match(result.stdout.toString(), /sent\. .* equals /);
      assert.ok(readFileSync(destination).equals(content));
      const saved = JSON.parse(lvmsync(['inspect', '--json', snapback]).stdout.toString());
      const start = at - (at % 4096);
      assert.deepEqual(
        [saved.firstByte, saved.lastByte, saved.bytes],
        [start, Math.min(start + 4096, content.length) - 1, saved.lastByte + 1 - start],
      );
    });

    test('repairs nothing where nothing differs', () => {
      const content = random.bytes(MIB);
      const snapback = fixture.path(`undo-${count++}`);
      const words = ['verify', '--full', '--repair', '-b', snapback, file(content)];
      assertSucceeds(lvmsync([...words, ...to(file(content))]));
      assert.throws(() => readFileSync(snapback));
    });

    test('counts what is missing at the end of a shorter file as different, and repairs it', () => {
      const content = random.bytes(MIB);
      const source = file(content);
      const destination = file(content);
      truncateSync(destination, MIB - 5000);
      const words = ['verify', '--full', source, ...to(destination)];
      const seen = lvmsync(words);
      assertDiffers(seen);
      assert.doesNotMatch(seen.stderr, /as long as/);
      const smaller = lvmsync([...words, '--allow-smaller', '--json']);
      assertSucceeds(smaller);
      assert.match(
        smaller.stderr,
        /it has .*\(1043576 bytes\), the source .*\(1048576 bytes\); the part beyond/,
      );
      assert.equal(reportOf(smaller).comparedBytes, MIB - 5000);
      const repaired = lvmsync([...words, '--repair']);
      assertSucceeds(repaired);
      const grows = /the source .*\(1048576 bytes\); the repair makes a regular file as long as/;
      assert.match(repaired.stderr, grows);
      assert.ok(readFileSync(destination).equals(content));
    });

    test('does not look past the end of the source', () => {
      const content = random.bytes(MIB);
      const source = file(content.subarray(0, MIB - 5000));
      assertSucceeds(lvmsync(['verify', '--full', source, ...to(file(content))]));
    });

    test('compares nothing where nothing changed', () => {
      const source = file(Buffer.alloc(0));
      assertSucceeds(lvmsync(['verify', '--full', source, ...to(file(Buffer.alloc(10)))]));
    });

    test('says what it cannot open', () => {
      const source = file(Buffer.alloc(1));
      const missing = fixture.path('missing');
      const result = lvmsync(['verify', '--full', source, ...to(missing)]);
      assertFailsHere(result, 12, /missing: cannot open: no such/);
      const none = lvmsync(['verify', '--full', missing, ...to(source)]);
      assertFails(none, 1, /no such device/);
      assert.match(none.stderr, /\nCheck the name\. Any block device, regular file or volume/);
    });
  });
}

/** The other side's own words come first. */
function assertFailsHere(result: CliResult, status: number, message: RegExp): void {
  const stderr = result.stderr.replace(/^remote:.*\n/gm, '');
  assertFails({ ...result, stderr }, status, message);
}

/** A byte of the golden image that no change covers. */
function unchangedByte(): number {
  const same: number[] = [];
  for (let at = 0; at < fixture.origin.length; at += 4096) {
    const chunk = fixture.origin.subarray(at, at + 4096);
    if (chunk.equals(fixture.snapshot.subarray(at, at + 4096))) same.push(at);
  }
  // One that was written with what it held would be in the list: the middle of a long run is not.
  return (same[Math.floor(same.length / 2)] ?? 0) + random.below(4096);
}

describe('a verify', () => {
  test('of two files names the option that compares them', () => {
    const [a, b] = [file(Buffer.alloc(1)), file(Buffer.alloc(1))];
    const result = lvmsync(['verify', a, b]);
    assertFails(result, 1, /not a logical volume, but a regular file/);
    assert.match(
      result.stderr,
      /VG\/LV\. Or use --full: it compares any two devices or files whole/,
    );
    const unknown = lvmsync(['verify', fixture.path('missing'), b]);
    assert.doesNotMatch(unknown.stderr, /--full/);
  });

  test('refuses to compare a device with itself', () => {
    const path = file(Buffer.alloc(4096));
    assertFails(lvmsync(['verify', '--full', path, path]), 12, /this is the source itself/);
  });

  test('keeps below a rate', () => {
    const content = Buffer.alloc(MIB);
    const words = ['verify', '--full', '--bwlimit', '1M', file(content), file(content)];
    const started = performance.now();
    assertSucceeds(lvmsync(words));
    assert.ok(performance.now() - started > 500);
  });

  test('runs its other side with the priority that was asked for', () => {
    const content = Buffer.alloc(4096);
    const rsh = fixture.goodRsh();
    const words = [
      'verify',
      '--full',
      '--nice',
      '7',
      '--ionice=best-effort:6',
      '-q',
      file(content),
    ];
    const path = file(content);
    assertSucceeds(lvmsync([...words, '-e', rsh.command, `backup:${path}`]));
    const expected = ['lvmsync', '--hash-blocks', '--quiet', '--nice=7', '--ionice=best-effort:6'];
    const argv = readFileSync(rsh.argvFile, 'utf8').split('\n');
    assert.deepEqual(argv.slice(1, -1), [...expected, path]);
  });
});

/** So slow that it lasts a second or more. */
const SLOWLY = ['--bwlimit', '1M'];
const LASTING = random.bytes(2 * MIB);

for (const [way, to] of WAYS) {
  describe(`a slow verify of a destination ${way}`, () => {
    /** Writes to one of the files what it holds already, while they are compared. */
    const disturbed = async (which: 'source' | 'destination', ...options: string[]) => {
      const files = { source: file(LASTING), destination: file(LASTING) };
      const words = [...SLOWLY, '-v', ...options, files.source, ...to(files.destination)];
      const run = startLvmsync(['verify', '--full', ...words]);
      await run.waitFor(way === 'here' ? /I\/O through/ : /remote:I\/O through/);
      await sleep(500);
      writeFileSync(files[which], LASTING, { flag: 'r+' });
      return run.ended;
    };
    const WARNING = /^WARNING: .*file-\d+: it was written while it was compared/m;

    test('warns of a source and of a destination that are written meanwhile', async () => {
      for (const which of ['source', 'destination'] as const) {
        const { status, stderr } = await disturbed(which);
        assert.equal(status, 0, stderr);
        assert.match(stderr, WARNING);
      }
    });

    test('fails under --require-quiet when the source is written', async () => {
      const result = await disturbed('source', '--require-quiet');
      const stderr = result.stderr.replace(/^(remote|running):.*\n/gm, '');
      assertFails({ ...result, stderr }, 10, /it was written while it was compared/);
    });

    test('ends with a signal', async () => {
      const words = [...SLOWLY, '-v', file(LASTING), ...to(file(LASTING))];
      const run = startLvmsync(['verify', '--full', ...words]);
      await run.waitFor(way === 'here' ? /I\/O through/ : /remote:I\/O through/);
      await sleep(300);
      run.child.kill('SIGTERM');
      const { status, stderr } = await run.ended;
      assert.equal(status, 143, stderr);
      assert.match(stderr, /FATAL ERROR: interrupted by SIGTERM/);
    });
  });
}

/** More than one request, on files that are equal. */
const EQUAL = random.bytes(5 * MIB);

describe('the other side of a verify', () => {
  const compareThrough = (body: string, ...options: string[]): CliResult => {
    const [source, path] = [file(EQUAL), file(EQUAL)];
    const { command } = fixture.rsh(body.replaceAll('PATH', path));
    return lvmsync(['verify', '--full', ...options, '-e', command, source, `backup:${path}`]);
  };
  const misbehaving = (deed: string, ...options: string[]): CliResult =>
    compareThrough(`exec '${process.execPath}' '${HASHER}' '${deed}' PATH`, ...options);

  test('is believed where it behaves', () => {
    assertSucceeds(misbehaving('behaves'));
  });

  test('that lies makes a difference, never an equality', () => {
    assertDiffers(misbehaving('lies'));
  });

  for (const deed of [
    'tells too few',
    'tells too many',
    'tells none',
    'counts wrongly',
    'cuts a hash',
    'says something else',
    'is ready twice',
    'is done too early',
    'has done more than was asked',
    'floods with answers',
    'is garbled at once',
  ]) {
    test(`that ${deed} is not believed`, () => {
      const result = misbehaving(deed);
      assertFails(result, 17, /^FATAL ERROR: backup: its answer does not match any request/);
      assert.equal(result.stdout.length, 0);
    });
  }

  for (const [deed, message] of [
    ['ends in the middle', /ended with status 0 before its last answer/],
    ['ends without its end', /ended with status 0 before its last answer/],
    ['fails at the end', /ended with status 3 before its last answer/],
  ] as const) {
    test(`that ${deed} is a failure`, () => assertFails(misbehaving(deed), 17, message));
  }

  for (const deed of ['never answers', 'hangs in the middle', 'floods before it is asked']) {
    test(`that ${deed} is given up after --timeout`, () => {
      const result = misbehaving(deed, '--timeout', '2', '-q');
      assertFails(result, 17, /(no answer|nothing moved) for 2 s: given up/);
    });
  }

  const strangers: readonly [who: string, body: string, message: RegExp][] = [
    ['the Ruby lvmsync', `exec '${process.execPath}' '${ORIGINAL}' $line`, /cannot verify/],
    [
      'one of ours that is too old',
      'echo "FATAL ERROR: invalid option" >&2; exit 1',
      /cannot verify/,
    ],
    ['no program', 'exit 127', /was not found/],
    [
      'one that may only apply',
      `exec lvmsync --apply - PATH`,
      /cannot verify: it ended with status 15/,
    ],
    ['a broken connection', 'exit 255', /could not be reached/],
    ['true', 'exec true', /cannot verify: it ended with status 0/],
    ['cat, cut off', 'head -c 20', /cannot verify/],
    ['one that is killed', 'kill -9 $$', /was ended by SIGKILL/],
  ];
  for (const [who, body, message] of strangers) {
    test(`may not be ${who}`, () => assertFails(compareThrough(body), 17, message));
  }

  test('that is no program at all is a failure', () => {
    const path = file(EQUAL);
    const words = ['verify', '--full', '-e', fixture.path('no-rsh'), path, `backup:${path}`];
    assertFails(lvmsync(words), 17, /cannot be started/);
  });
});

describe('--hash-blocks', () => {
  const session = '0'.repeat(32);
  const hello = `lvmsync-hash 1 ${session}\n`;
  const path = file(Buffer.alloc(8192));
  const asked = (input: string): CliResult => lvmsync(['--hash-blocks', path], { input });

  test('tells the size, answers in order, and ends with how many it answered', () => {
    const result = asked(`${hello}blocks 0 0+4096 5000+2\nblocks 1 8191+1\nend 2\n`);
    assertSucceeds(result);
    const lines = result.stdout
      .toString()
      .split('\n')
      .filter((line) => line !== '');
    const words = lines.map((line) => line.replace(`lvmsync-hashes 1 ${session} `, '').split(' '));
    assert.deepEqual(words[0], ['ready', '8192']);
    assert.deepEqual([words[1]?.slice(0, 2), words[1]?.length], [['hashes', '0'], 4]);
    assert.deepEqual([words[2]?.slice(0, 2), words[2]?.length], [['hashes', '1'], 3]);
    assert.deepEqual(words[3], ['done', '2', 'none']);
  });

  const refused: readonly [what: string, input: string, status: number, message: RegExp][] = [
    ['no beginning', 'blocks 0 0+1\n', 15, /its first line is missing/],
    ['nothing', '', 15, /its first line is missing/],
    ['a change stream', 'lvmsync PROTO[3]\n', 15, /unknown form/],
    ['two beginnings', hello + hello, 15, /begins twice/],
    ['no end', `${hello}blocks 0 0+1\n`, 14, /the requests end without an end mark/],
    [
      'a wrong count',
      `${hello}blocks 0 0+1\nend 2\n`,
      15,
      /asks for number 2 where number 1 comes next/,
    ],
    [
      'a request left out',
      `${hello}blocks 1 0+1\nend 2\n`,
      15,
      /asks for number 1 where number 0 comes next/,
    ],
    ['what is past the end', `${hello}blocks 0 8192+1\nend 1\n`, 15, /beyond the end/],
    ['too long a line', `${hello}blocks 0${' 0+1'.repeat(4000)}\nend 1\n`, 15, /unknown form/],
  ];
  for (const [what, input, status, message] of refused) {
    test(`refuses ${what}`, () => assertFails(asked(input), status, message));
  }

  test('tells its peer why it failed', () => {
    const { stdout } = asked(`${hello}blocks 0 8192+1\nend 1\n`);
    assert.match(
      stdout.toString(),
      new RegExp(`^lvmsync-result 1 ${session} failed 15 .*beyond`, 'm'),
    );
  });
});
