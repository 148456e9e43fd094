// Inside the guest: what is written to devices, and whether two devices hold the same.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { runTool } from '../../helpers/program/cli.js';
import type { Random } from '../../helpers/random.js';
import { tool } from './tool.js';

export interface Write {
  readonly offset: number;
  readonly length: number;
}

/** Writes of `length` bytes at random multiples of `length`. Some may coincide. */
export function scattered(
  random: Random,
  size: number,
  plan: { readonly count: number; readonly length: number },
): Write[] {
  const places = Math.floor(size / plan.length);
  return Array.from({ length: plan.count }, () => ({
    offset: random.below(places) * plan.length,
    length: plan.length,
  }));
}

/** One run of neighbouring writes from `offset` on. */
export function sequential(offset: number, count: number, length: number): Write[] {
  return Array.from({ length: count }, (_, i) => ({ offset: offset + i * length, length }));
}

/** Writes of odd offsets and lengths that lie over each other in a narrow place. */
export function overlapping(random: Random, offset: number, count: number): Write[] {
  return Array.from({ length: count }, () => ({
    offset: offset + random.below(300_000),
    length: 1 + random.below(100_000),
  }));
}

/** Writes random bytes to each place, in the order given, and has them reach the device. */
export function writeRandom(path: string, random: Random, writes: Iterable<Write>): void {
  const descriptor = openSync(path, 'r+');
  try {
    for (const { offset, length } of writes) {
      writeSync(descriptor, random.bytes(length), 0, length, offset);
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Fills a whole device or file, `size` bytes of it, with random bytes. */
export function fillRandom(path: string, random: Random, size: number): void {
  const piece = 1024 * 1024;
  const writes = sequential(0, Math.ceil(size / piece), piece).map(({ offset }) => ({
    offset,
    length: Math.min(piece, size - offset),
  }));
  writeRandom(path, random, writes);
}

/** Writes all of it, from the beginning of the device or file on. */
export function writeWhole(path: string, content: Buffer): void {
  const descriptor = openSync(path, 'r+');
  try {
    let at = 0;
    while (at < content.length) at += writeSync(descriptor, content, at, content.length - at, at);
  } finally {
    closeSync(descriptor);
  }
}

/** Copies a whole device or file to a device or file; what the first holds counts, not its page cache. */
export function saveContent(path: string, file: string): void {
  dropPages(path);
  tool('dd', `if=${path}`, `of=${file}`, 'bs=1M', 'conv=fsync', 'status=none');
}

/**
 * Asserts that two devices or files hold the same bytes and have the same size; with `length`, that
 * their first bytes agree. What the devices hold counts, not their page cache.
 */
export function assertSameContent(left: string, right: string, length?: number): void {
  for (const path of [left, right]) dropPages(path);
  const limit = length === undefined ? [] : ['-n', `${length}`];
  const { status, stdout, stderr } = runTool(['cmp', ...limit, left, right]);
  assert.equal(status, 0, `${left} and ${right} differ: ${stdout}${stderr}`);
}

/** Of what a device or file holds, not its page cache; small enough to be in memory at once. */
export function contentHash(path: string): string {
  dropPages(path);
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** The counterpart: a test that changed nothing would otherwise pass. */
export function assertDifferentContent(left: string, right: string): void {
  for (const path of [left, right]) dropPages(path);
  assert.equal(runTool(['cmp', '-s', left, right]).status, 1, `${left} and ${right} are equal`);
}

function dropPages(path: string): void {
  if (statSync(path).isBlockDevice()) tool('blockdev', '--flushbufs', path);
}
