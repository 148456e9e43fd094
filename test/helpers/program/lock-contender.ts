/**
 * A process of its own for the tests of the run lock, driven over its IPC channel. Per message
 * `{kind: 'acquire', inode}` it asks once and answers `held` or `locked`; `{kind: 'release'}` is
 * answered by `released`; after `{kind: 'storm', inode, folder, rounds}` it takes and releases the
 * lock that often, looks each time whether it is alone, and answers `storm-over` or an error text.
 */

import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LvmsyncError } from '../../../src/base/errors.js';
import { hasEnded, ownIdentity } from '../../../src/host/process-identity.js';
import { acquireRunLock, type RunLock } from '../../../src/host/run-lock.js';

export type ContenderOrder =
  | { readonly kind: 'acquire'; readonly inode: string }
  | { readonly kind: 'release' }
  | {
      readonly kind: 'storm';
      readonly inode: string;
      readonly folder: string;
      readonly rounds: number;
    };

const directory = process.argv[2]!;
let lock: RunLock | undefined;

process.on('message', (order: ContenderOrder) => {
  obey(order).then(
    (answer) => process.send!(answer),
    (error) => process.send!(String(error)),
  );
});

async function obey(order: ContenderOrder): Promise<string> {
  switch (order.kind) {
    case 'acquire':
      lock = await tryAcquire(order.inode);
      return lock === undefined ? 'locked' : 'held';
    case 'release':
      lock?.release();
      return 'released';
    case 'storm':
      return storm(order.inode, order.folder, order.rounds);
  }
}

async function tryAcquire(inode: string): Promise<RunLock | undefined> {
  const key = `file-8:1/${inode}`;
  try {
    return await acquireRunLock(key, { path: 'DEST', command: 'contender', directory });
  } catch (error) {
    if (error instanceof LvmsyncError && error.code === 'locked') return undefined;
    throw error;
  }
}

/** Says that it is in by a file named after it; one that a killed process left does not count. */
async function storm(inode: string, folder: string, rounds: number): Promise<string> {
  const { pid, startTime } = ownIdentity();
  const own = `${pid}-${startTime}`;
  for (let turns = 0; turns < rounds; ) {
    const held = await tryAcquire(inode);
    if (held !== undefined) {
      writeFileSync(join(folder, own), '');
      await sleep(Math.random() * 4);
      const others = readdirSync(folder).filter((name) => name !== own && isRunning(name));
      rmSync(join(folder, own));
      held.release();
      if (others.length > 0) return `${own} was not alone: ${others}`;
      turns += 1;
    }
    await sleep(Math.random() * 4);
  }
  return 'storm-over';
}

function isRunning(name: string): boolean {
  const [pid, startTime = ''] = name.split('-');
  return !hasEnded({ ...ownIdentity(), pid: Number(pid), startTime });
}
