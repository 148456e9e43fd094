/** What a run asks of the kernel, and in which order, seen from outside. */

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { offlineSource } from '../helpers/devices/offline-source.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  type CliResult,
  canTrace,
  lvmsync,
  runTool,
} from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';

interface Call {
  readonly name: string;
  /** The file behind the first argument, if that is a descriptor. */
  readonly path: string;
  readonly text: string;
  readonly result: number;
  /** Positions in the trace. */
  readonly begun: number;
  readonly ended: number;
}

const skip = canTrace() ? false : 'strace is not permitted here';
const folder = scratchFolder();
const chunks = Array.from({ length: 3000 }, (_, i) => (i * 7) % 4096);
const source = offlineSource(folder, { size: 16 * 1024 * 1024, changedChunks: chunks });
const destination = join(folder, 'destination');
const snapback = join(folder, 'snapback');
const sync = [...source.words, '--snapback', snapback, destination];

// What goes through io_uring does not show in a trace.
const env = { ...process.env, LVMSYNC_IO_ENGINE: 'threads' };

function strace(options: readonly string[], words: readonly string[]): CliResult {
  const trace = join(folder, 'trace');
  const argv = ['strace', '-f', '-y', '-s', '300', '-o', trace, ...options];
  return runTool([...argv, process.execPath, CLI, ...words], { env });
}

function parseTrace(): Call[] {
  const begun = new Map<string, { readonly text: string; readonly at: number }>();
  const calls: Call[] = [];
  readFileSync(join(folder, 'trace'), 'utf8')
    .split('\n')
    .forEach((line, at) => {
      const [thread = ''] = line.split(' ', 1);
      if (line.endsWith('<unfinished ...>')) {
        begun.set(thread, { text: line.slice(0, -'<unfinished ...>'.length), at });
        return;
      }
      const resumed = /<\.\.\. \w+ resumed>(.*)$/.exec(line);
      const head = resumed === null ? { text: '', at } : (begun.get(thread) ?? { text: '', at });
      const text = resumed === null ? line : `${head.text}${resumed[1]}`;
      const match = /^\d+\s+(\w+)\((?:\d+<([^>]*)>)?.* = (-?\d+)/.exec(text);
      if (match === null) return;
      const [, name = '', path = '', result = ''] = match;
      calls.push({ name, path, text, result: Number(result), begun: head.at, ended: at });
    });
  return calls;
}

interface SavedRange {
  readonly offset: number;
  readonly end: number;
  /** Where in the snapback the mark of its group ends. */
  readonly groupEnd: number;
}

function savedRanges(): SavedRange[] {
  const stream = readFileSync(snapback);
  const ranges: SavedRange[] = [];
  let open: { offset: number; end: number }[] = [];
  let position = stream.indexOf('\n') + 1;
  while (position < stream.length) {
    const offset = Number(stream.readBigUInt64BE(position));
    const length = stream.readUInt32BE(position + 8);
    if (length > 0) {
      open.push({ offset, end: offset + length });
      position += 12 + length;
    } else {
      // A frame: three words, as many as the third one says, and two of a checksum.
      position += (5 + stream.readUInt16BE(position + 2 * 12 + 6)) * 12;
      const groupEnd = position;
      ranges.push(...open.map((range) => ({ ...range, groupEnd })));
      open = [];
    }
  }
  assert.equal(open.length, 0);
  return ranges;
}

describe('a local sync with a snapback', { skip }, () => {
  let calls: Call[] = [];

  test('ends well under the eyes of strace', () => {
    writeFileSync(destination, source.former);
    const watched =
      'openat,execve,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,exit_group';
    assertSucceeds(strace(['-e', `trace=${watched}`], sync));
    assert.ok(readFileSync(destination).equals(source.content));
    calls = parseTrace();
    assert.ok(calls.length > 100);
  });

  test('opens source, COW store and destination past the page cache', () => {
    for (const path of [source.data, source.cowStore, destination]) {
      const opens = calls.filter(
        ({ name, text }) => name === 'openat' && text.includes(`"${path}"`),
      );
      assert.ok(
        opens.some(({ text, result }) => text.includes('O_DIRECT') && result >= 0),
        path,
      );
    }
  });

  test('starts no shell, and leaves the page cache of the machine alone', () => {
    const programs = calls.filter(({ name }) => name === 'execve').map(({ text }) => text);
    assert.ok(programs.length > 0);
    for (const text of programs) assert.doesNotMatch(text, /execve\("[^"]*\/(ba|da|z|k)?sh"/);
    for (const { text } of calls) assert.doesNotMatch(text, /drop_caches/);
  });

  test('flushes the beginning of the snapback and its directory before any write elsewhere', () => {
    const firstWrite = calls.find(({ name, path }) => name === 'pwrite64' && path === destination);
    const made = calls.find(
      ({ name, path, text }) => name === 'openat' && text.includes(`"${snapback}"`) && path === '',
    );
    const flushed = calls.find(({ name, path }) => name === 'fdatasync' && path === snapback);
    const listed = calls.find(({ name, path }) => name === 'fsync' && path === dirname(snapback));
    assert.ok(firstWrite && flushed && listed);
    assert.ok(made === undefined || made.ended < flushed.begun);
    assert.ok(flushed.ended < firstWrite.begun && listed.ended < firstWrite.begun);
  });

  test('writes no range before a flush of the snapback that covers it', () => {
    const ranges = savedRanges();
    const events = calls
      .flatMap((call) => [
        { at: call.begun, call, edge: 'begun' as const },
        { at: call.ended, call, edge: 'ended' as const },
      ])
      .sort((a, b) => a.at - b.at);
    const appendedAt = new Map<Call, number>();
    let appended = 0;
    let durable = 0;
    let writes = 0;
    for (const { call, edge } of events) {
      const { name, path, result, text } = call;
      if (path === snapback && /^writev?$/.test(name) && edge === 'ended') appended += result;
      if (path === snapback && name === 'fdatasync') {
        if (edge === 'begun') appendedAt.set(call, appended);
        else durable = Math.max(durable, appendedAt.get(call) ?? 0);
      }
      if (path === destination && name === 'pwrite64' && edge === 'begun') {
        const [, length = '', offset = ''] = /, (\d+), (\d+)\) = \d+$/.exec(text) ?? [];
        const start = Number(offset);
        const end = start + Number(length);
        const touched = ranges.filter((range) => range.offset < end && range.end > start);
        const covered = touched.reduce(
          (sum, range) => sum + Math.min(range.end, end) - Math.max(range.offset, start),
          0,
        );
        assert.equal(covered, end - start, `${start}+${length} was saved`);
        for (const { groupEnd } of touched) {
          assert.ok(groupEnd <= durable, `${start}+${length}: ${groupEnd} beyond ${durable}`);
        }
        writes++;
      }
    }
    assert.ok(writes > 10);
  });

  test('flushes the destination after its last write, and the snapback after that', () => {
    const writes = calls.filter(({ name, path }) => name === 'pwrite64' && path === destination);
    const last = Math.max(...writes.map(({ ended }) => ended));
    const flush = calls.find(
      ({ name, path, begun, result }) =>
        name === 'fsync' && path === destination && begun > last && result === 0,
    );
    assert.ok(flush);
    const complete = calls.find(
      ({ name, path, begun }) => name === 'fdatasync' && path === snapback && begun > flush.ended,
    );
    assert.ok(complete);
  });
});

describe('a snapback that cannot be read', { skip }, () => {
  test('is not taken for one whose run was interrupted', () => {
    writeFileSync(destination, source.former);
    rmSync(snapback, { force: true });
    assertSucceeds(lvmsync(sync));
    // strace counts the calls of each thread by itself, so which read of the file fails is open.
    let failed = 0;
    for (const nth of [1, 2, 3, 5, 8]) {
      const fault = ['-P', snapback, '-e', 'trace=read', '-e', `inject=read:error=EIO:when=${nth}`];
      const result = strace(fault, ['--apply', snapback, destination]);
      const hit = readFileSync(join(folder, 'trace'), 'utf8').includes('(INJECTED)');
      if (hit) assertFails(result, 14, /read error at byte \d+ \(EIO/);
      else assertSucceeds(result);
      if (hit) failed++;
    }
    assert.ok(failed >= 2, `${failed} of them failed`);
    assertSucceeds(lvmsync(['--apply', snapback, destination]));
    assert.ok(readFileSync(destination).equals(source.former));
  });
});

describe('a device that fails', { skip }, () => {
  interface DeviceFault {
    readonly what: string;
    readonly path: string;
    readonly call: string;
    readonly error: string;
    readonly status: number;
  }
  // From which call of a thread on they fail. strace counts for each thread by itself, so whether any
  // thread comes so far is open; the first one it surely meets.
  const STARTS = [3, 2, 1];
  const syncWith = ({ path, call, error }: DeviceFault): CliResult => {
    for (const start of STARTS) {
      writeFileSync(destination, source.former);
      const inject = `inject=${call}:error=${error}:when=${start}+`;
      const fault = ['-P', path, '-e', `trace=${call}`, '-e', inject];
      const result = strace(fault, [...sync, '--snapback-overwrite']);
      if (readFileSync(join(folder, 'trace'), 'utf8').includes('(INJECTED)')) return result;
      assertSucceeds(result);
    }
    return assert.fail(`no ${call} of ${path} was made`);
  };
  const { data, cowStore } = source;
  const full = 'ENOSPC';
  const faults: DeviceFault[] = [
    {
      what: 'reading the source',
      path: data,
      call: 'pread64',
      error: 'EIO',
      status: 11,
    },
    {
      what: 'reading the store',
      path: cowStore,
      call: 'pread64',
      error: 'EIO',
      status: 11,
    },
    { what: 'writing', path: destination, call: 'pwrite64', error: full, status: 13 },
    { what: 'flushing', path: destination, call: 'fsync', error: 'EIO', status: 13 },
    { what: 'saving', path: snapback, call: 'writev', error: full, status: 16 },
    {
      what: 'flushing what was saved',
      path: snapback,
      call: 'fdatasync',
      error: 'EIO',
      status: 16,
    },
  ];
  for (const fault of faults) {
    const { what, path, error, status } = fault;
    test(`${what}: the run ends with status ${status}, and its snapback brings everything back`, () => {
      const result = syncWith(fault);
      assertFails(result, status, new RegExp(`${path}: .*${error}`));
      const undone = lvmsync(['--apply', snapback, destination]);
      // Nothing of it may be durable yet: then nothing was written either.
      if (undone.status !== 0) assert.ok([14, 15].includes(undone.status ?? 0), undone.stderr);
      assert.ok(readFileSync(destination).equals(source.former));
    });
  }
});
