/** Whole runs on this machine: sync, with snapback, to a pipe, from a pipe. */

import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { quoteWord } from '../src/base/shell-words.js';
import type { ChangeList } from './change-lists.js';
import type { Media } from './media.js';
import { builtTool } from './native-tools.js';
import type { Contestant, Job } from './rounds.js';

const MIB = 2 ** 20;
const CLI = fileURLToPath(new URL('../lvmsync.cjs', import.meta.url));

export function ours(...words: readonly string[]): string[] {
  return [process.execPath, CLI, ...words];
}

/** The words that name a source without LVM. */
export function sourceWords(media: Media, list: ChangeList): string[] {
  return ['--cow-store', list.cowStore, '--data-source', media.source];
}

/** One command line out of several, each a list of words, between them what the shell is to do. */
export function shell(...parts: readonly (readonly string[] | string)[]): string[] {
  const line = parts.map((part) =>
    typeof part === 'string' ? part : part.map(quoteWord).join(' '),
  );
  return ['sh', '-c', line.join(' ')];
}

export function hasTool(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${quoteWord(name)}`]).status === 0;
}

export interface OtherTools {
  /** Paths to programs that Debian has not, or not everywhere. */
  readonly bdsync?: string | undefined;
  readonly blocksyncFast?: string | undefined;
  readonly original?: string | undefined;
}

export function syncJob(media: Media, list: ChangeList, others: readonly Contestant[]): Job {
  const { source, destination } = media;
  return {
    name: `local sync, ${list.shape.name}`,
    bytes: list.bytes,
    contestants: [
      limit('copy', source, destination, list.extents),
      lvmsync(ours(...sourceWords(media, list), destination)),
      ...others,
    ],
    prepare: () => spoil(media, list),
    verify: () => checkSame(media, list),
  };
}

/** What copies the whole device, where it is installed, and what finds the differences by itself. */
export function otherCopies(media: Media, tools: OtherTools): Contestant[] {
  const { source, destination } = media;
  const direct = ['bs=1M', 'iflag=direct', 'oflag=direct', 'conv=fsync,notrunc', 'status=none'];
  const all: readonly (readonly [string, string, readonly string[]])[] = [
    ['dd, all of it', 'dd', ['dd', `if=${source}`, `of=${destination}`, ...direct]],
    ['nbdcopy, all of it', 'nbdcopy', ['nbdcopy', '--flush', source, destination]],
    [
      'qemu-img, all of it',
      'qemu-img',
      ['qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', '-T', 'none', '-t', 'none'].concat([
        '-W',
        '-m',
        '16',
        source,
        destination,
      ]),
    ],
  ];
  const found = all
    .filter(([, tool]) => hasTool(tool))
    .map(([name, , words]) => other(name, words));
  const { bdsync, blocksyncFast } = tools;
  if (bdsync !== undefined) {
    const server = `${quoteWord(bdsync)} --server`;
    const patch = shell([bdsync, server, destination, source], '|', [
      bdsync,
      `--patch=${destination}`,
    ]);
    found.push(other('bdsync', patch));
  }
  if (blocksyncFast !== undefined) {
    found.push(other('blocksync-fast', [blocksyncFast, '-s', source, '-d', destination]));
  }
  return found;
}

export function snapbackJob(media: Media, list: ChangeList): Job {
  const { source, destination } = media;
  const saved = media.file('saved');
  return {
    name: `with snapback, ${list.shape.name}`,
    bytes: list.bytes,
    contestants: [
      limit('save', source, destination, list.extents, saved),
      lvmsync(ours(...sourceWords(media, list), '--snapback', saved, destination)),
    ],
    prepare: () => {
      rmSync(saved, { force: true });
      touchMemory(saved, list.bytes);
      spoil(media, list);
    },
    verify: () => checkSame(media, list),
  };
}

/**
 * A file of as many bytes, written and removed. In a virtual machine, memory that was not used for some
 * seconds may have gone back to its host, and the first write to each page of it then takes up to ten
 * times as long as the others: it would be this that is compared.
 */
function touchMemory(path: string, bytes: number): void {
  const fd = openSync(path, 'wx');
  const piece = Buffer.alloc(MIB);
  for (let at = 0; at < bytes; at += MIB) writeSync(fd, piece);
  closeSync(fd);
  rmSync(path);
}

export function dumpJob(media: Media, list: ChangeList, to: 'file' | 'pipe'): Job {
  const words = ours(...sourceWords(media, list), '--stdout');
  return {
    name: `--stdout to ${to === 'file' ? '/dev/null' : 'a pipe'}, ${list.shape.name}`,
    bytes: list.bytes,
    contestants: [
      limit('read', media.source, list.extents),
      lvmsync(shell(words, to === 'file' ? '>/dev/null' : '| cat >/dev/null')),
    ],
  };
}

/** Of what writeStream has written. */
export function applyJob(
  media: Media,
  list: ChangeList,
  from: 'file' | 'pipe',
  original?: string,
): Job {
  const { destination } = media;
  const stream = streamPath(media, list);
  const originals =
    original === undefined
      ? []
      : [other('the original', [original, '--apply', stream, destination])];
  return {
    name: `--apply from a ${from}, ${list.shape.name}`,
    bytes: list.bytes,
    contestants: [
      limit('write', destination, list.extents),
      // Reads what we read and writes as much as we do, but checks nothing and seeks nowhere.
      ...(from === 'file' ? [other('dd of the stream', ddOf(stream, destination, list))] : []),
      lvmsync(
        from === 'file'
          ? ours('--apply', stream, destination)
          : shell(['cat', stream], '|', ours('--apply', '-', destination)),
      ),
      ...originals,
    ],
    verify: () => checkSame(media, list),
  };
}

function ddOf(stream: string, destination: string, { bytes }: ChangeList): string[] {
  const size = ['bs=1M', `count=${bytes / MIB}`];
  const ways = ['oflag=direct', 'conv=notrunc,fsync', 'status=none'];
  return ['dd', `if=${stream}`, `of=${destination}`, ...size, ...ways];
}

/** Of devices that are equal, as they are after an apply: its limit reads both at once. */
export function verifyJob(media: Media, list: ChangeList): Job {
  const { source, destination } = media;
  const read = (path: string): string[] => [builtTool('limit_copy'), 'read', path, list.extents];
  return {
    name: `verify, ${list.shape.name}`,
    bytes: list.bytes,
    contestants: [
      {
        name: 'the limit',
        role: 'limit',
        words: shell(read(source), '& first=$!;', read(destination), '&& wait $first'),
      },
      lvmsync(ours('verify', ...sourceWords(media, list), destination)),
    ],
  };
}

export function streamPath(media: Media, list: ChangeList): string {
  return media.file(`${list.bytes}-${list.shape.chunkSize}-${list.shape.every}.stream`);
}

/** The change stream of a list, for jobs that read one. */
export function writeStream(media: Media, list: ChangeList): void {
  const words = shell(ours(...sourceWords(media, list), '--stdout'), '>', [
    streamPath(media, list),
  ]);
  const [program = '', ...rest] = words;
  const { status, stderr } = spawnSync(program, rest, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

export function removeStream(media: Media, list: ChangeList): void {
  rmSync(streamPath(media, list));
}

function limit(...words: readonly string[]): Contestant {
  return { name: 'the limit', role: 'limit', words: [builtTool('limit_copy'), ...words] };
}

function lvmsync(words: readonly string[]): Contestant {
  return { name: 'lvmsync', role: 'ours', words };
}

function other(name: string, words: readonly string[]): Contestant {
  return { name, role: 'other', words };
}

/** Makes the sampled places of the destination differ again, so that a run that writes nothing shows. */
export function spoil(media: Media, list: ChangeList): void {
  const marks = spawnSync(builtTool('limit_copy'), [
    'write',
    media.destination,
    list.sampleExtents,
  ]);
  if (marks.status !== 0) throw new Error(String(marks.stderr));
}

export function checkSame(media: Media, list: ChangeList): void {
  const fds = [media.source, media.destination].map((path) => openSync(path, 'r'));
  const size = list.shape.chunkSize;
  const [one, two] = [Buffer.alloc(size), Buffer.alloc(size)];
  try {
    for (const at of list.samples) {
      for (const [index, fd] of fds.entries()) readSync(fd, index === 0 ? one : two, 0, size, at);
      if (!one.equals(two))
        throw new Error(`${media.destination}: not what the source has at ${at}`);
    }
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}
