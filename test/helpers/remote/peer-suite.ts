/** What every peer does, however it is reached: a command of its own, or a channel of the ssh2 package. */

import assert from 'node:assert/strict';
import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { closeInput, type Peer, type PeerExit } from '../../../src/remote/peer.js';

/** What the other side is to do. */
export interface Part {
  /** How much of its input it reads before it prints: all of it, some bytes, or nothing ever. */
  readonly reads: 'everything' | 'a little' | 'nothing';
  /** How often it prints "line" to its standard output, and then how much it read; by default once. */
  readonly lines?: number;
  /** It prints so while it reads, instead of after that. */
  readonly meanwhile?: true;
  readonly ends: number | 'SIGTERM' | 'never';
}

export interface ConnectedPeer {
  readonly peer: Peer;
  /** "stdout: line", as far as they have come. */
  readonly lines: readonly string[];
}

/** Has somebody play that part, until the test ends. */
export type StartPeer = (t: TestContext, part: Part) => Promise<ConnectedPeer>;

const MIB = 1024 * 1024;

/** Writes all of it, as far as the pipe is taken, and ends the input; says whether it was taken. */
export async function writeAll(peer: Peer, bytes: Buffer): Promise<boolean> {
  const pipe = new Socket({ fd: peer.inputFd, readable: false, writable: true });
  const taken = await new Promise<boolean>((resolve) => {
    pipe.on('error', () => resolve(false));
    pipe.end(bytes, (error?: Error | null) => resolve(!error));
  });
  pipe.destroy();
  return taken;
}

/** `killedAs` is how one that was killed has ended, which a process shows and a connection does not. */
export function testPeer(what: string, killedAs: PeerExit['kind'], start: StartPeer): void {
  describe(`a peer: ${what}`, () => {
    test('what is written arrives whole, and both outputs come back in lines', async (t) => {
      const { peer, lines } = await start(t, { reads: 'everything', ends: 0 });
      assert.equal(await writeAll(peer, Buffer.alloc(5 * MIB, 1)), true);
      assert.deepEqual(await peer.exited, { kind: 'status', status: 0 });
      assert.deepEqual([...lines].sort(), [`stderr: ${5 * MIB}`, 'stdout: line']);
    });

    const isOfPeer = killedAs === 'failed' && ({ isOfPeer: true } as const);
    const ends: readonly [end: number | 'SIGTERM', exit: PeerExit][] = [
      [0, { kind: 'status', status: 0 }],
      [12, { kind: 'status', status: 12 }],
      [127, { kind: 'status', status: 127 }],
      [255, { kind: 'status', status: 255 }],
      ['SIGTERM', { kind: 'signal', signal: 'SIGTERM', ...isOfPeer }],
    ];
    for (const [end, exit] of ends) {
      test(`one that ends with ${end} is reported so`, async (t) => {
        const { peer } = await start(t, { reads: 'everything', ends: end });
        await writeAll(peer, Buffer.alloc(1));
        assert.deepEqual(await peer.exited, exit);
      });
    }

    test('what was printed just before the end is not lost', async (t) => {
      const { peer, lines } = await start(t, { reads: 'everything', lines: 20_000, ends: 3 });
      await writeAll(peer, Buffer.alloc(1));
      assert.deepEqual(await peer.exited, { kind: 'status', status: 3 });
      assert.equal(lines.filter((line) => line === 'stdout: line').length, 20_000);
    });

    test('one that ends while data are on their way is reported with its status', async (t) => {
      const { peer } = await start(t, { reads: 'a little', ends: 3 });
      const [exit, taken] = await Promise.all([
        peer.exited,
        writeAll(peer, Buffer.alloc(64 * MIB)),
      ]);
      assert.deepEqual(exit, { kind: 'status', status: 3 });
      assert.equal(taken, false);
    });

    test('a flood of output does not stop the data', async (t) => {
      const part = { reads: 'everything', lines: 500_000, meanwhile: true, ends: 0 } as const;
      const { peer, lines } = await start(t, part);
      assert.equal(await writeAll(peer, Buffer.alloc(16 * MIB)), true);
      assert.deepEqual(await peer.exited, { kind: 'status', status: 0 });
      assert.equal(lines.length, 500_001);
      assert.ok(lines.includes(`stderr: ${16 * MIB}`));
    });

    test('one that does not read holds the pipe, and kill ends the wait for it', async (t) => {
      const { peer } = await start(t, { reads: 'nothing', ends: 'never' });
      let settled = false;
      const written = writeAll(peer, Buffer.alloc(64 * MIB)).finally(() => {
        settled = true;
      });
      await delay(300);
      assert.equal(settled, false);
      peer.kill();
      assert.equal((await peer.exited).kind, killedAs);
      assert.equal(await written, false);
    });

    test('one that read everything leaves nothing unread, and its input is closed', async (t) => {
      const { peer } = await start(t, { reads: 'everything', ends: 0 });
      assert.equal(await closeInput(peer), 0);
      assert.deepEqual(await peer.exited, { kind: 'status', status: 0 });
      assert.throws(() => fstatSync(peer.inputFd), /EBADF/);
    });
  });
}
