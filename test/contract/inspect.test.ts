/** `lvmsync inspect`: what it says of files of every kind and state. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { InterruptedError } from '../../src/base/errors.js';
import { runInspect } from '../../src/commands/inspect.js';
import { Reporter } from '../../src/run/reporter.js';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  type CliResult,
  lvmsync,
  runTool,
} from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';
import { framedStream } from '../helpers/streams/stream-parts.js';

const folder = scratchFolder();
const MIB = 2 ** 20;
/** Two neighbours, one by itself, and a chunk in the second half of the device. */
const source = offlineSource(folder, { size: MIB, changedChunks: [3, 4, 10, 200] });

const quietContext = {
  reporter: new Reporter({ verbosity: 'quiet', write: () => undefined, isTTY: false }),
  commandLine: 'lvmsync inspect',
  answer: () => undefined,
  agentSocket: undefined,
  engine: 'auto',
};

const path = (name: string): string => join(folder, name);

function dumped(name: string, ...options: string[]): string {
  const result = lvmsync([...source.words, '--stdout', ...options]);
  assertSucceeds(result);
  writeFileSync(path(name), result.stdout);
  return path(name);
}

const inspect = (...words: string[]): CliResult => lvmsync(['inspect', ...words]);

function inspectJson(file: string): Record<string, unknown> {
  return JSON.parse(String(inspect('--json', file).stdout));
}

const plain = dumped('plain');
const copy = path('copy');
const snapback = path('undo');
writeFileSync(copy, source.former);
assertSucceeds(lvmsync(['--apply', plain, '-b', snapback, copy]));

describe('inspect', () => {
  test('tells of a whole change stream what it holds, and where', () => {
    const result = inspect(plain);
    assertSucceeds(result);
    const text = String(result.stdout);
    assert.match(text, /^ +is +a change stream, \d+(\.\d)? KiB$/m);
    assert.match(text, /^ +state +complete, all hashes match$/m);
    assert.match(text, /^ +made +\d{4}-\d\d-\d\dT.*Z by lvmsync \d/m);
    assert.match(text, /^ +device +\/\S+data\.img, 1\.0 MiB$/m);
    assert.match(text, /^ +holds +16\.0 KiB in 3 records, 3 stretches, the largest of 8\.0 KiB$/m);
    assert.match(text, /^ +lies +from byte 12288 to byte 823295$/m);
    assert.equal(result.stderr, '');
  });

  test('counts one record and one stretch as such', async () => {
    const single = path('single');
    const groups = [[{ offset: 4096, data: Buffer.alloc(4096, 1) }]];
    await framedStream(single, { deviceSize: 8192, groups });
    assert.match(
      String(inspect(single).stdout),
      /^ +holds +4\.0 KiB in 1 record, 1 stretch of 4\.0 KiB$/m,
    );
  });

  test('draws a map with a mark wherever something changed', () => {
    const [, map = ''] = /\|(.*)\| 16\.0 KiB per cell/.exec(String(inspect(plain).stdout)) ?? [];
    assert.equal(map.length, 64);
    const marked = [...map].flatMap((cell, at) => (cell === ' ' ? [] : [at]));
    assert.deepEqual(marked, [0, 1, 2, 50]);
  });

  test('prints the same as JSON', () => {
    const found = inspectJson(plain);
    const { form, kind, deviceSize, records, bytes, stretches, largestStretch, complete } = found;
    assert.deepEqual(
      { form, kind, deviceSize, records, bytes, stretches, largestStretch, complete },
      {
        form: 'framed',
        kind: 'file',
        deviceSize: MIB,
        records: 3,
        bytes: 16384,
        stretches: 3,
        largestStretch: 8192,
        complete: true,
      },
    );
    assert.deepEqual([found.fault, found.applicable, found.compressed], [null, true, false]);
  });

  test('knows a snapback, and one whose run was cut off', () => {
    assert.match(String(inspect(snapback).stdout), /is +a snapback/);
    const bytes = readFileSync(snapback);
    writeFileSync(path('torn'), bytes.subarray(0, bytes.length - 100));
    const result = inspect(path('torn'));
    assertSucceeds(result);
    assert.match(
      String(result.stdout),
      /no end mark: its run was interrupted, and it undoes what that run wrote, or/,
    );
    const { complete, applicable } = inspectJson(path('torn'));
    assert.deepEqual([complete, applicable], [false, true]);
  });

  test('reads the classic form, and LZ4', () => {
    const classic = inspect(dumped('classic', '--format', 'classic'));
    assertSucceeds(classic);
    assert.match(String(classic.stdout), /in the classic form.*\n +state +no error found/);
    assert.match(String(classic.stdout), /holds +16\.0 KiB in 4 records, 3 stretches/);
    const compressed = inspectJson(dumped('compressed', '--compress'));
    assert.deepEqual([compressed.compressed, compressed.complete], [true, true]);
    writeFileSync(path('lz4'), runTool(['lz4', '-c'], { input: readFileSync(plain) }).stdout);
    assert.equal(inspectJson(path('lz4')).complete, true);
  });

  const damages: readonly (readonly [string, number, (bytes: Buffer) => Buffer, RegExp])[] = [
    ['that is cut', 14, (bytes) => bytes.subarray(0, -1), /cut off/],
    [
      'with a bit flipped',
      15,
      (bytes) => {
        const at = bytes.indexOf('chunk at');
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        return bytes;
      },
      /hash of group 0 does not match/,
    ],
    [
      'of something else',
      15,
      () => Buffer.from('PNG\n'),
      /not a change stream or snapback: it begins with "PNG/,
    ],
    ['that is empty', 14, () => Buffer.alloc(0), /it is empty/],
  ];
  for (const [what, status, damage, message] of damages) {
    test(`says of a file ${what} what is wrong, and ends with ${status}`, () => {
      writeFileSync(path('damaged'), damage(readFileSync(plain)));
      const result = inspect(path('damaged'));
      assert.equal(result.status, status);
      assert.match(String(result.stdout), /state +cannot be applied completely: /);
      assert.match(String(result.stdout), message);
      assert.equal(inspectJson(path('damaged')).applicable, false);
    });
  }

  test('goes on behind a bad file, whose status is the status of all', () => {
    writeFileSync(path('bad'), 'PNG\n');
    const result = inspect('--json', path('bad'), plain, snapback);
    assert.equal(result.status, 15);
    assert.equal(String(result.stdout).trim().split('\n').length, 3);
  });

  test('refuses what is not a file, options of other commands, and no file at all', () => {
    const missing = inspect('/nowhere');
    assertFails(missing, 1, /\/nowhere: cannot be opened \(ENOENT\)/);
    assert.match(missing.stderr, /\nCheck its name\.\n$/);
    const directory = inspect(folder);
    assertFails(directory, 1, /: a directory, not a change stream or snapback/);
    assert.match(directory.stderr, /\nName a file in it\. "lvmsync chain" shows/);
    assertFails(inspect('--force', plain), 1, /--force cannot be used with inspect/);
    assertFails(inspect(), 1, /missing operand: FILE/);
    assertFails(lvmsync(['--redo', plain, copy]), 1, /--redo cannot be used with a SNAPSHOT/);
  });

  test('makes text of others harmless', () => {
    writeFileSync(path('hostile'), '\x1b[2J\x07\n');
    const text = String(inspect(path('hostile')).stdout);
    assert.ok(!text.includes('\x1b') && !text.includes('\x07'), JSON.stringify(text));
  });

  test('is ended by a signal in the middle of a file', async () => {
    const stop = new AbortController();
    const said: string[] = [];
    const run = runInspect(
      { kind: 'inspect', files: [plain], json: false, verbosity: 'normal', warnings: [] },
      {
        ...quietContext,
        signal: stop.signal,
        print: (text) => said.push(text),
      },
    );
    stop.abort('SIGTERM');
    await assert.rejects(run, (error) => {
      assert.ok(error instanceof InterruptedError, String(error));
      return true;
    });
    assert.deepEqual(said, []);
  });
});
