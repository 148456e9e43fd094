/**
 * How long the change list of two thin devices takes, beside thin_dump alone on the same metadata.
 *
 *   node dist/bench/thin-changes.js [MAPPINGS] [ROUNDS]
 *
 * Two devices of MAPPINGS scattered single blocks each (default 1,000,000), a tenth of them remapped.
 * The tool's own run is one `thin_dump` of both devices into /dev/null; ours is a process of its own
 * that runs two dumps and merges them. Rounds are interleaved; medians with least and greatest, of
 * the time on the clock and of the processor time of all processes, which a busy machine changes less.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { streamCommand } from '../src/host/subprocess.js';
import { readThinDifference } from '../src/lvm/thin/difference.js';
import { holdMetadataSnapIn, METADATA_BLOCK } from '../test/helpers/lvm/thin-tools.js';
import { TICKS_PER_SECOND } from './cost.js';

const [older, newer] = [1, 2];

if (process.argv[2] === '--merge') await merge(process.argv[3] ?? '', Number(process.argv[4]));
else await main(Number(process.argv[2] ?? 1_000_000), Number(process.argv[3] ?? 5));

/** The child: what lvmsync does between reserve and release. Prints its peak memory in MiB. */
async function merge(metadata: string, size: number): Promise<void> {
  const [from, to] = [older, newer].map((id) => ({
    deviceId: id ?? 0,
    dump: streamCommand(['thin_dump', '-m', '--dev-id', String(id), metadata]),
  }));
  if (from === undefined || to === undefined) throw new Error('two devices');
  const { changed } = await readThinDifference({ from, to, size });
  // Not the maxRSS of getrusage: that counts what this process was before it became ours, too.
  const [, peak = ''] = /VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  console.log(JSON.stringify({ extents: changed.count, peakMiB: Math.round(Number(peak) / 1024) }));
}

async function main(mappings: number, rounds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'lvmsync-bench-'));
  try {
    const metadata = await prepare(folder, mappings);
    const tool: Cost[] = [];
    const ours: Cost[] = [];
    let report = '';
    for (let round = 0; round < rounds; round++) {
      const both = ['-m', '--dev-id', '1', '--dev-id', '2', metadata];
      tool.push(costOf(() => execFileSync('thin_dump', both, { stdio: 'ignore' })));
      ours.push(
        costOf(() => {
          const size = String(mappings * 4 * 65536);
          const argv = [fileURLToPath(import.meta.url), '--merge', metadata, size];
          const child = spawnSync(process.execPath, argv, { encoding: 'utf8' });
          if (child.status !== 0) throw new Error(child.stderr);
          report = child.stdout.trim();
        }),
      );
    }
    console.log(`mappings per device: ${mappings}, ${report}`);
    for (const kind of ['clock', 'processor'] as const) {
      const [theirs, own] = [tool, ours].map((costs) => costs.map((cost) => cost[kind]));
      if (theirs === undefined || own === undefined) throw new Error('two kinds of runs');
      console.log(`seconds of the ${kind}:`);
      console.log(`  thin_dump of both ${spread(theirs)}`);
      console.log(`  the change list   ${spread(own)}`);
      console.log(`  ratio             ${spread(own.map((value, i) => value / (theirs[i] ?? 1)))}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Seconds. */
interface Cost {
  readonly clock: number;
  readonly processor: number;
}

function costOf(work: () => unknown): Cost {
  const [start, before] = [performance.now(), childrenSeconds()];
  work();
  return {
    clock: (performance.now() - start) / 1000,
    processor: childrenSeconds() - before,
  };
}

/** Processor time of all children that have ended, and of theirs: cutime and cstime of proc(5). */
function childrenSeconds(): number {
  const text = readFileSync('/proc/self/stat', 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}

function spread(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(2);
  return `${at(0.5)} (${at(0)} to ${at(1)})`;
}

/** Metadata with a metadata snap, in a file. */
async function prepare(folder: string, mappings: number): Promise<string> {
  const xml = join(folder, 'pool.xml');
  const fd = openSync(xml, 'w');
  const blocks = mappings * 3;
  writeSync(
    fd,
    `<superblock uuid="" time="1" transaction="1" version="2" data_block_size="128" nr_data_blocks="${blocks}">\n`,
  );
  for (const device of [0, 1]) {
    writeSync(
      fd,
      `<device dev_id="${device + 1}" mapped_blocks="${mappings}" transaction="0" creation_time="0" snap_time="0">\n`,
    );
    let text = '';
    for (let i = 0; i < mappings; i++) {
      // Every second block of the device, in an order of data blocks that no run can join.
      const remapped = device === 1 && i % 10 === 0;
      const data = ((i * 7) % mappings) + (remapped ? mappings : 0);
      text += `<single_mapping origin_block="${i * 2}" data_block="${data}" time="0"/>\n`;
      if (text.length > 1 << 20) {
        writeSync(fd, text);
        text = '';
      }
    }
    writeSync(fd, `${text}</device>\n`);
  }
  writeSync(fd, '</superblock>\n');
  closeSync(fd);
  const metadata = join(folder, 'metadata');
  closeSync(openSync(metadata, 'w'));
  truncateSync(
    metadata,
    METADATA_BLOCK * Math.ceil((mappings * 2 * 48 + 2 ** 24) / METADATA_BLOCK),
  );
  execFileSync('thin_restore', ['-i', xml, '-o', metadata], { stdio: 'ignore' });
  holdMetadataSnapIn(metadata);
  return metadata;
}
