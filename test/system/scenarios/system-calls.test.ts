import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { CLI, engineSetting, runTool } from '../../helpers/program/cli.js';
import { withThickCopy } from '../harness/copies.js';
import { type LogicalVolume, MiB } from '../harness/lvm.js';

// The engine is `threads`, because what goes through io_uring does not show in a system call trace.
describe('the system calls of a local sync with a snapback', () => {
  const lab = withThickCopy({ changes: 600 });
  const { folder } = lab;
  const snapback = `${folder}/snapback`;
  let calls: readonly Call[];

  before(() => {
    calls = trace(['--snapback', snapback, lab.snapshot.path, lab.copy.path], `${folder}/trace`);
    lab.assertEqual();
  });

  const named = (path: string): string[] => [path, path.replace('/dev/mapper/', '')];
  const opens = (path: string): Call[] =>
    calls.filter(
      (call) => call.name === 'openat' && named(path).some((p) => call.text.includes(`"${p}"`)),
    );

  for (const which of ['origin', 'COW store', 'destination'] as const) {
    test(`the ${which} is opened past the page cache`, () => {
      const paths = {
        origin: lab.origin.path,
        'COW store': `${lab.snapshot.path}-cow`,
        destination: lab.copy.path,
      };
      const direct = opens(paths[which]).filter((call) => call.text.includes('O_DIRECT'));
      assert.ok(direct.length > 0, `an open of ${paths[which]} with O_DIRECT`);
    });
  }

  test('no program is run through a shell, and the page cache of the host is left alone', () => {
    const programs = calls.filter((call) => call.name === 'execve').map((call) => call.text);
    assert.ok(
      programs.some((text) => /"lvs"/.test(text)),
      'the trace follows children',
    );
    assert.deepEqual(
      programs.filter((text) => /execve\("[^"]*\/(ba|da|z|)sh"/.test(text)),
      [],
    );
    assert.deepEqual(
      calls.filter((call) => call.text.includes('drop_caches')),
      [],
    );
  });

  test('each write to the destination comes after a flush of the snapback that covers it', () => {
    let appended = 0;
    let durable = 0;
    let overwritten = 0;
    for (const call of calls) {
      if (isWrite(call) && call.path === snapback) appended += call.result;
      if (isFlush(call) && call.path === snapback) durable = appended;
      if (isWrite(call) && isDevice(call.path, lab.copy)) {
        overwritten += call.result;
        assert.ok(overwritten <= durable, `${overwritten} bytes overwritten, ${durable} saved`);
      }
    }
    assert.ok(overwritten > 0, 'the trace shows the writes');
    assert.ok(statSync(snapback).size >= overwritten);
  });

  test('the destination is flushed after the last write to it', () => {
    assertFlushed(calls, lab.copy);
  });

  test('F5: so is a device that standard output leads to', () => {
    const stream = lab.group.createVolume('stream', 8 * MiB);
    const words = ['--stdout', lab.snapshot.path];
    assertFlushed(trace(words, `${folder}/trace-of-stream`, stream.path), stream);
  });
});

function assertFlushed(calls: readonly Call[], volume: LogicalVolume): void {
  const last = calls.map((call) => isWrite(call) && isDevice(call.path, volume)).lastIndexOf(true);
  assert.ok(last > 0, 'the trace shows the writes');
  assert.ok(calls.slice(last).some((call) => isFlush(call) && isDevice(call.path, volume)));
}

interface Call {
  readonly name: string;
  /** The file behind the first argument, if that is a descriptor. */
  readonly path: string;
  readonly text: string;
  readonly result: number;
}

/** Runs lvmsync under strace and returns its completed calls in the order they ended. */
function trace(words: readonly string[], output: string, stdoutFile = '/dev/null'): Call[] {
  const stdout = openSync(stdoutFile, 'w');
  const watched = 'trace=openat,execve,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync';
  const { status, stderr } = runTool(
    [
      'strace',
      '-f',
      '-y',
      '-s',
      '256',
      '-e',
      watched,
      '-o',
      output,
      process.execPath,
      CLI,
      ...words,
    ],
    { env: engineSetting('threads'), stdio: ['ignore', stdout, 'pipe'] },
  );
  closeSync(stdout);
  assert.equal(status, 0, stderr);
  return joinUnfinished(readFileSync(output, 'utf8').split('\n')).flatMap(parseCall);
}

/** Puts the two halves of calls that were interrupted by another thread's together, at the end. */
function joinUnfinished(lines: readonly string[]): string[] {
  const begun = new Map<string, string>();
  return lines.flatMap((line) => {
    const [thread = ''] = line.split(' ', 1);
    if (line.endsWith('<unfinished ...>')) {
      begun.set(thread, line.slice(0, -'<unfinished ...>'.length));
      return [];
    }
    const resumed = /<\.\.\. \w+ resumed>(.*)$/.exec(line);
    return resumed === null ? [line] : [`${begun.get(thread) ?? ''}${resumed[1]}`];
  });
}

function parseCall(line: string): Call[] {
  const match = /^\d+\s+(\w+)\((?:\d+<([^>]*)>)?(.*) = (-?\d+)/.exec(line);
  if (match === null) return [];
  const [, name = '', path = '', , result = ''] = match;
  return [{ name, path, text: line, result: Number(result) }];
}

function isWrite(call: Call): boolean {
  return /^p?writev?(64|2)?$/.test(call.name) && call.result > 0;
}

function isFlush(call: Call): boolean {
  return /^f(data)?sync$/.test(call.name) && call.result === 0;
}

/** strace names a device-mapper node as it was opened, or by its resolved /dev/dm-N. */
function isDevice(path: string, volume: LogicalVolume): boolean {
  return path === volume.path || path === `/dev/${volume.dmName}`;
}
