/** LZ4 on a link of 100 MB/s: how much sooner the bytes have arrived than without it. */

import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import type { ChangeList } from './change-lists.js';
import { type Cost, costOf, type Spread, spread } from './cost.js';
import { ours, shell, sourceWords } from './local-jobs.js';
import type { Media } from './media.js';
import { builtTool } from './native-tools.js';

/** Bytes a second. */
export const LINK_RATE = 100_000_000;
const PIECE = 2 ** 20;
const BLOCK = 4096;

export interface LinkResult {
  readonly name: string;
  readonly bytes: number;
  /** How many times as fast as the same run without compression, in the same round. */
  readonly gain: Spread;
  readonly plainWall: Spread;
  readonly packedWall: Spread;
  readonly packedCpu: Spread;
  readonly peakMiB: number;
}

export function runOverLink(
  { media, list, content }: { media: Media; list: ChangeList; content: 'random' | 'halves' },
  rounds: number,
): LinkResult {
  fillSource(media, content);
  const run = (mode: 'none' | 'lz4'): Cost => {
    const sender = ours(...sourceWords(media, list), `--compress=${mode}`, '--stdout');
    const link = [builtTool('throttled'), String(LINK_RATE)];
    return costOf(shell(sender, '|', link, '|', ours('--apply', '-', media.destination)));
  };
  const plain: Cost[] = [];
  const packed: Cost[] = [];
  for (let round = 0; round < rounds; round++) {
    plain.push(run('none'));
    packed.push(run('lz4'));
  }
  return {
    name: content === 'random' ? 'LZ4, random data' : 'LZ4, data that halves',
    bytes: list.bytes,
    gain: spread(packed.map(({ wall }, round) => (plain[round]?.wall ?? Number.NaN) / wall)),
    plainWall: spread(plain.map(({ wall }) => wall)),
    packedWall: spread(packed.map(({ wall }) => wall)),
    packedCpu: spread(packed.map(({ cpu }) => cpu)),
    peakMiB: Math.max(...packed.map(({ peakMiB }) => peakMiB)),
  };
}

/** Of data that halve, each block is half random and half zeros. */
function fillSource(media: Media, content: 'random' | 'halves'): void {
  const piece = Buffer.alloc(PIECE);
  const random = content === 'random' ? BLOCK : BLOCK / 2;
  const fd = openSync(media.source, 'r+');
  for (let offset = 0; offset < media.size; offset += PIECE) {
    for (let at = 0; at < PIECE; at += BLOCK) randomFillSync(piece, at, random);
    writeSync(fd, piece, 0, PIECE, offset);
  }
  closeSync(fd);
}
