/** What a user gets for input that cannot be right: one clear line, the right status, nothing written. */

import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  type CliOptions,
  lvmsync,
  runTool,
} from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';
import {
  CLASSIC_HANDSHAKE,
  classicStream,
  framedStream,
  recordHeader,
} from '../helpers/streams/stream-parts.js';

const CHANGED = [3, 4, 5, 100, 77, 255];
const folder = scratchFolder();
const source = offlineSource(folder, { changedChunks: CHANGED });
let files = 0;

function fileOf(content: Buffer | string): string {
  const path = join(folder, `file-${files++}`);
  writeFileSync(path, content);
  return path;
}

function freshName(): string {
  return join(folder, `file-${files++}`);
}

interface Case {
  readonly what: string;
  readonly words: readonly string[];
  readonly options?: CliOptions;
  readonly status: number;
  readonly message: RegExp;
}

function check({ what, words, options, status, message }: Case): void {
  test(what, () => assertFails(lvmsync(words, options), status, message));
}

describe('the command line', () => {
  const cases: Case[] = [
    { what: 'nothing at all', words: [], status: 1, message: /missing operand: SNAPSHOT/ },
    {
      what: 'an unknown option',
      words: ['--frobnicate', 'a', 'b'],
      status: 1,
      message: /frobnicate/,
    },
    {
      what: 'a missing destination',
      words: ['vg/snap'],
      status: 1,
      message: /missing operand: DESTINATION/,
    },
    {
      what: 'a missing destination of an apply',
      words: ['--apply', source.data],
      status: 1,
      message: /missing operand: DESTINATION/,
    },
    {
      what: 'an operand too many',
      words: ['--apply', '-', 'a', 'b'],
      status: 1,
      message: /too many operands: "b"/,
    },
    {
      what: 'a COW store without its data',
      words: ['--cow-store', source.cowStore, 'dest'],
      status: 1,
      message: /--cow-store needs --data-source/,
    },
    {
      what: 'contradicting actions',
      words: ['--stdout', '--apply', 'x', 'y'],
      status: 1,
      message: /cannot be used with/,
    },
    {
      what: 'an unknown format',
      words: ['--format=xml', ...source.words, '--stdout'],
      status: 1,
      message: /expected "auto" or "classic", saw "xml"/,
    },
  ];
  for (const one of cases) check(one);
});

describe('a changes file', () => {
  const destination = fileOf(source.former);
  const binary = Buffer.from('\x7fELF\x02\x01\x01\0\x1b[31m\\ and more\n', 'latin1');
  const contents: readonly (Omit<Case, 'words'> & { readonly content: Buffer | string })[] = [
    {
      what: 'that is none is shown, made harmless',
      content: binary,
      status: 15,
      message:
        /not a change stream or snapback: it begins with "\\x7fELF\\x02\\x01\\x01\\x00\\x1b\[31m\\\\ an\.\.\.", not with "lvmsync PROTO\[3\]"/,
    },
    {
      what: "that is none and long is shown in part: it may be anybody's data",
      content: 'x'.repeat(100_000),
      status: 15,
      message: /begins with "x{17}\.\.\.", not with/,
    },
    {
      what: 'of another version is told from what is none',
      content: 'lvmsync PROTO[4]\n',
      status: 15,
      message: /begins with "lvmsync PROTO\[4\]/,
    },
    { what: 'that is empty', content: '', status: 14, message: /it is empty/ },
    {
      what: 'that is cut in its first line',
      content: 'lvmsync PR',
      status: 14,
      message: /cut off inside its first line/,
    },
    {
      what: 'that ends after its first line',
      content: CLASSIC_HANDSHAKE,
      status: 14,
      message: /it holds only the first line of a change stream, no changes and no end mark/,
    },
    {
      what: 'that ends after the first line of a framed one',
      content: 'lvmsync PROTO[3]\r\n',
      status: 14,
      message: /cut off before its first record/,
    },
    {
      what: 'that ends in a header',
      content: Buffer.concat([CLASSIC_HANDSHAKE, recordHeader(0, 4096).subarray(0, 7)]),
      status: 14,
      message: /cut off inside a record header, 7 of 12 bytes/,
    },
    {
      what: 'that ends in its data',
      content: Buffer.concat([CLASSIC_HANDSHAKE, recordHeader(0, 4096), Buffer.alloc(100)]),
      status: 14,
      message: /cut off inside a record, 100 of 4096 bytes/,
    },
    {
      what: 'with an absurd length',
      content: Buffer.concat([CLASSIC_HANDSHAKE, recordHeader(0, 0xffffffff)]),
      status: 15,
      message: /absurd length/,
    },
    {
      what: 'with an absurd offset',
      content: Buffer.concat([CLASSIC_HANDSHAKE, recordHeader(2n ** 63n, 4096)]),
      status: 15,
      message: /absurd offset/,
    },
    {
      what: 'with records of two lengths',
      content: classicStream([
        { offset: 0, data: Buffer.alloc(4096) },
        { offset: 8192, data: Buffer.alloc(512) },
        { offset: 16384, data: Buffer.alloc(4096) },
      ]),
      status: 15,
      message: /after the short last one.*desynchronised/,
    },
  ];
  for (const { content, ...rest } of contents) {
    test(rest.what, () => {
      const before = readFileSync(destination);
      const result = lvmsync(['--apply', fileOf(content), destination]);
      assertFails(result, rest.status, rest.message);
      assert.ok(readFileSync(destination).equals(before), 'nothing was written');
    });
  }

  test('that is not there, or is a directory', () => {
    const missing = lvmsync(['--apply', '/nowhere/at/all', destination]);
    assertFails(missing, 1, /\/nowhere\/at\/all: cannot open the changes file \(ENOENT\)/);
    assert.match(missing.stderr, /\nNothing was written\.\nCheck its name\.\n$/);
    const directory = lvmsync(['--apply', folder, destination]);
    assertFails(directory, 1, /a directory, not a changes file/);
    assert.match(directory.stderr, /\nNothing was written\.\nName a file in it: a change stream/);
  });

  test('that cannot be read is not said to be the wrong one', () => {
    const unread = lvmsync(['--apply', '/proc/self/mem', destination]);
    assertFails(unread, 14, /read error at byte 0 \(EIO/);
    assert.match(unread.stderr, /^Nothing was written\.$/m);
    assert.doesNotMatch(unread.stderr, /Check that it is the right file/);
    const foreign = lvmsync(['--apply', fileOf('something else\n'), destination]);
    assert.match(foreign.stderr, /^Check that it is the right file/m);
  });

  test('of nothing but its first line is accepted from a pipe, with a warning', () => {
    const result = lvmsync(['--apply', '-', destination], { input: CLASSIC_HANDSHAKE });
    assertSucceeds(result);
    assert.match(result.stderr, /^WARNING: .*the stream is empty/m);
  });

  test('with a version in the future says which this program speaks', () => {
    const result = lvmsync(['--apply', fileOf('lvmsync PROTO[4]\n'), destination]);
    assert.match(
      result.stderr,
      /It has version 4 of the protocol, but this program supports version 3/,
    );
  });

  test('with a record beyond the end of the destination is applied in part, with status 3', () => {
    const small = fileOf(Buffer.alloc(8192));
    const stream = classicStream([
      { offset: 4096, data: Buffer.alloc(4096, 'a') },
      { offset: 8192, data: Buffer.alloc(4096, 'b') },
    ]);
    const result = lvmsync(['--apply', fileOf(stream), small]);
    assert.equal(result.status, 3, result.stderr);
    assert.match(result.stderr, /4096 bytes beyond its end were left out/);
    assert.equal(readFileSync(small, 'latin1'), '\0'.repeat(4096) + 'a'.repeat(4096));
    const allowed = lvmsync(['--apply', fileOf(stream), '--allow-smaller', small]);
    assert.equal(allowed.status, 0, allowed.stderr);
  });

  test('cut after any of its groups is refused, and says how much was applied', async () => {
    const path = freshName();
    const groups = CHANGED.map((chunk) => [
      { offset: chunk * 4096, data: source.content.subarray(chunk * 4096, (chunk + 1) * 4096) },
    ]);
    const stream = await framedStream(path, { deviceSize: source.content.length, groups });
    truncateSync(path, stream.length - 700);
    const target = fileOf(source.former);
    const result = lvmsync(['--apply', path, target]);
    assertFails(result, 14, /cut off/);
    assert.match(result.stderr, /is incomplete: \d+\.\d KiB applied/);
  });
});

describe('a COW store', () => {
  const entry = (index: number): number => 4096 + index * 16;
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const u64 = (value: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return bytes;
  };
  const damages: { what: string; at: number; bytes: Buffer; message: RegExp }[] = [
    { what: 'that was never activated', at: 0, bytes: u32(0), message: /never activated/ },
    {
      what: 'of another magic',
      at: 0,
      bytes: u32(0x12345678),
      message: /: not the COW store of a snapshot \(header: magic is 0x12345678, .*\)$/,
    },
    { what: 'that overflowed', at: 4, bytes: u32(0), message: /overflowed or failed/ },
    { what: 'of another version', at: 8, bytes: u32(2), message: /version is 2, expected 1/ },
    { what: 'of no possible chunk size', at: 12, bytes: u32(7), message: /not a power of two/ },
    {
      what: 'with a chunk beyond the origin',
      at: entry(2),
      bytes: u64(256),
      message: /old_chunk 256 is not below the 256 chunks of the origin/,
    },
    {
      what: 'with a chunk beyond the store',
      at: entry(1) + 8,
      bytes: u64(1e9),
      message: /new_chunk 1000000000 is not below/,
    },
    { what: 'that names a chunk twice', at: entry(3), bytes: u64(3), message: /earlier entry/ },
    {
      what: 'that goes on behind its end',
      at: entry(CHANGED.length + 3) + 8,
      bytes: u64(9),
      message: /not empty, though the list ended/,
    },
  ];
  for (const { what, at, bytes, message } of damages) {
    test(`${what} is refused, and nothing is written`, () => {
      const cowStore = fileOf(readFileSync(source.cowStore));
      const fd = openSync(cowStore, 'r+');
      writeSync(fd, bytes, 0, bytes.length, at);
      closeSync(fd);
      const destination = fileOf(source.former);
      const words = ['--cow-store', cowStore, '--data-source', source.data, destination];
      const result = lvmsync(words);
      assertFails(result, 10, message);
      assert.match(result.stderr, /\nNothing was written\.\n/);
      assert.ok(readFileSync(destination).equals(source.former));
    });
  }

  test('a refusal of a source says that nothing was written, also that of a verify', () => {
    for (const words of [
      ['--cow-store', '/nowhere', '--data-source', source.data, fileOf(source.former)],
      ['verify', '--full', '/nowhere', fileOf(source.former)],
      ['verify', '--full', '/dev/null', fileOf(source.former)],
    ]) {
      assert.match(lvmsync(words).stderr, /^FATAL ERROR: .*\nNothing was written\.\n/);
    }
  });

  test('that is not there, or ends too early, is refused', () => {
    const missing = ['--cow-store', '/nowhere', '--data-source', source.data, '--stdout'];
    assertFails(lvmsync(missing), 10, /\/nowhere: cannot open/);
    const cut = fileOf(readFileSync(source.cowStore).subarray(0, 4096));
    const words = ['--cow-store', cut, '--data-source', source.data, '--stdout'];
    const result = lvmsync(words);
    assertFails(result, 10, /store/);
    assert.equal(result.stdout.length, 0);
  });
});

describe('a destination', () => {
  const refused = (what: string, make: () => string, status: number, message: RegExp): void => {
    test(`${what} is refused`, () => {
      assertFails(lvmsync([...source.words, make()]), status, message);
    });
  };
  refused('that is not there', () => '/nowhere/at/all', 12, /no such device or file/);
  refused(
    'that is a directory',
    () => {
      const path = freshName();
      mkdirSync(path);
      return path;
    },
    12,
    /it is a directory/,
  );
  refused('that is a fifo', () => fifo(), 12, /neither a block device nor a regular file/);
  refused('that is the data source', () => source.data, 12, /data source/);
  refused(
    'that is the data source under another name',
    () => {
      const path = freshName();
      symlinkSync(source.data, path);
      return path;
    },
    12,
    /data source/,
  );
  refused('that is the COW store', () => source.cowStore, 12, /COW store/);

  function fifo(): string {
    const path = freshName();
    runTool(['mkfifo', path]);
    return path;
  }

  test('that may only be read is refused', (context) => {
    if (process.getuid?.() === 0) return context.skip('root may write any file');
    const path = fileOf(source.former);
    chmodSync(path, 0o400);
    assertFails(lvmsync([...source.words, path]), 12, /permission denied/);
  });

  test('that is smaller stays so with --allow-smaller, and gets what fits', () => {
    const size = 77 * 4096 + 100;
    const path = fileOf(source.former.subarray(0, size));
    const result = lvmsync([...source.words, '--allow-smaller', path]);
    assertSucceeds(result);
    assert.match(result.stderr, /^WARNING: .*left out/m);
    assert.ok(readFileSync(path).equals(source.content.subarray(0, size)));
  });

  test('that is a smaller block device is refused before anything is written', (context) => {
    const path = fileOf(Buffer.alloc(512 * 1024));
    const loop = attachLoop(path);
    if (loop === undefined) return context.skip('no loop device can be attached here');
    try {
      const result = lvmsync([...source.words, loop]);
      assertFails(
        result,
        12,
        /too small: it has .*\(524288 bytes\), the source .*\(1048576 bytes\)/,
      );
      assert.match(result.stderr, /Nothing was written/);
      const readOnly = attachLoop(fileOf(source.former), '-r');
      assert.ok(readOnly !== undefined);
      try {
        assertFails(lvmsync([...source.words, readOnly]), 12, /read-only|permission denied/);
      } finally {
        runTool(['losetup', '-d', readOnly]);
      }
    } finally {
      runTool(['losetup', '-d', loop]);
    }
    assert.ok(readFileSync(path).equals(Buffer.alloc(512 * 1024)));
  });

  function attachLoop(path: string, ...options: string[]): string | undefined {
    const { status, stdout } = runTool(['losetup', '-f', '--show', ...options, path]);
    return status === 0 ? stdout.toString().trim() : undefined;
  }
});

describe('a snapback', () => {
  const refused = (what: string, make: () => string, message: RegExp): void => {
    test(`${what} is refused, and the destination stays as it was`, () => {
      const path = make();
      const destination = fileOf(source.former);
      const result = lvmsync([...source.words, '--snapback', path, destination]);
      assertFails(result, 16, message);
      assert.match(result.stderr, /Nothing was changed|The destination was not touched/);
      assert.ok(readFileSync(destination).equals(source.former));
    });
  };
  refused('that exists', () => fileOf('an earlier one'), /already exists/);
  refused('in a folder that is not there', () => '/nowhere/at/all', /ENOENT/);
  refused('that is a directory', () => folder, /this is a directory/);

  test('on a full disk ends the run before its group is written', () => {
    const destination = fileOf(source.former);
    const result = lvmsync([...source.words, '--snapback', '/dev/full', destination]);
    assertFails(result, 16, /ENOSPC/);
    assert.ok(readFileSync(destination).equals(source.former));
  });

  test('on a disk that is too small is refused; one that becomes full leaves a destination that it can bring back', (context) => {
    const small = freshName();
    mkdirSync(small);
    if (runTool(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'none', small]).status !== 0) {
      return context.skip('no tmpfs can be mounted here');
    }
    try {
      const changedChunks = Array.from({ length: 16 * 256 }, (_, i) => i);
      const large = freshName();
      mkdirSync(large);
      const big = offlineSource(large, { size: 16 * 1024 * 1024, changedChunks });
      const destination = fileOf(big.former);
      const snapback = join(small, 'snapback');
      const words = [...big.words, '--snapback', snapback, destination];
      assertFails(
        lvmsync(words),
        16,
        /not enough room: it needs up to 17(\.\d)? MiB, but only .* are free/,
      );
      assert.ok(!existsSync(snapback), 'its name is free for another try');
      const older = join(small, 'older');
      writeFileSync(older, 'the way back to an earlier state');
      const over = ['-b', older, '--snapback-overwrite', destination];
      assertFails(lvmsync([...big.words, ...over]), 16, /not enough room/);
      assert.equal(readFileSync(older, 'utf8'), 'the way back to an earlier state');
      rmSync(older);
      const result = lvmsync(['--force', ...words]);
      assertFails(result, 16, /ENOSPC/);
      assertSucceeds(lvmsync(['--apply', snapback, destination]));
      assert.ok(readFileSync(destination).equals(big.former));
    } finally {
      runTool(['umount', small]);
    }
  });

  test('must not replace a file that the run needs', () => {
    for (const [role, name] of [
      ['the destination', 'destination'],
      ['the data source', 'data'],
      ['the COW store', 'cow'],
    ] as const) {
      const destination = fileOf(source.former);
      const paths = { destination, data: source.data, cow: source.cowStore };
      const words = ['--snapback', paths[name], '--snapback-overwrite', destination];
      const before = readFileSync(paths[name]);
      assertFails(lvmsync([...source.words, ...words]), 16, new RegExp(`this is ${role}`));
      assert.ok(readFileSync(paths[name]).equals(before), `${role} is whole`);
    }
  });

  test('must not replace the changes file that is being applied', async () => {
    const path = freshName();
    const groups = [[{ offset: 0, data: Buffer.alloc(4096, 'x') }]];
    const stream = await framedStream(path, { deviceSize: source.content.length, groups });
    const destination = fileOf(source.former);
    const words = ['--apply', path, '--snapback', path, '--snapback-overwrite', destination];
    assertFails(lvmsync(words), 16, /this is the changes file/);
    assert.ok(readFileSync(path).equals(stream));
  });

  test('/dev/null is one that keeps nothing', () => {
    const destination = fileOf(source.former);
    assertSucceeds(lvmsync([...source.words, '--snapback', '/dev/null', destination]));
    assert.ok(readFileSync(destination).equals(source.content));
  });
});

describe('messages', () => {
  test('-q leaves nothing but errors', () => {
    const destination = fileOf(source.former);
    const good = lvmsync([...source.words, '-q', destination]);
    assert.deepEqual([good.status, good.stderr], [0, '']);
    const bad = lvmsync(['-q', '--apply', fileOf(''), destination]);
    assertFails(bad, 14, /it is empty/);
    assert.match(bad.stderr, /^FATAL ERROR: /);
  });

  test('-d shows where an error arose, and what caused it', () => {
    const result = lvmsync(['-d', '--apply', '/nowhere/at/all', 'x']);
    assert.equal(result.status, 1);
    assert.match(result.stderr, /^FATAL ERROR: .*\n(.*\n)*\s+at .*runApply/);
    assert.match(result.stderr, /caused by: .*ENOENT/);
  });

  test('nothing but a change stream ever goes to standard output', () => {
    const destination = fileOf(source.former);
    assert.equal(lvmsync([...source.words, '-v', destination]).stdout.length, 0);
    assert.equal(lvmsync(['--apply', fileOf('junk'), destination]).stdout.length, 0);
  });
});
