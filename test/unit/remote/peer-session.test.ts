/** A session ends with its peer, however that comes, and says why. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OnLine } from '../../../src/remote/peer.js';
import { type Guard, LastLines, PeerSession } from '../../../src/remote/peer-session.js';
import { connectCommand } from '../../../src/remote/rsh.js';
import { Reporter } from '../../../src/run/reporter.js';

const reporter = new Reporter({ verbosity: 'quiet', write: () => undefined, isTTY: false });

function open(script: string, onLine: OnLine = () => undefined): PeerSession {
  return new PeerSession(connectCommand(['sh', '-c', script], onLine));
}

function guardOf(change: Partial<Guard> = {}): Guard {
  const signal = new AbortController().signal;
  return { host: 'there', reporter, signal, progress: () => 0, limitSeconds: 60, ...change };
}

describe('a session with a peer', () => {
  test('ends by itself, and counts what the peer never read', async () => {
    const session = open('exit 3');
    session.guard(guardOf());
    await session.exited;
    await session
      .openWriter()
      .writeRaw(Buffer.from('never read'))
      .catch(() => undefined);
    const { exit, wasCut, lateAfter } = await session.close();
    assert.deepEqual(exit, { kind: 'status', status: 3 });
    assert.deepEqual(session.exit, exit);
    assert.equal(wasCut, false);
    assert.equal(lateAfter, undefined);
  });

  test('counts what was in the pipe when the peer ended', async () => {
    const session = open('sleep 0.2');
    await session.openWriter().writeRaw(Buffer.from('never read'));
    assert.equal((await session.close()).unreadBytes, 10);
  });

  test('is ended at its limit, and says after how many seconds', async () => {
    const session = open('sleep 60');
    session.guard(guardOf({ limitSeconds: 1 }));
    const { exit, lateAfter } = await session.close();
    assert.deepEqual(exit, { kind: 'signal', signal: 'SIGKILL' });
    assert.equal(lateAfter, 1);
  });

  test('is not ended by a guard that was stopped', async () => {
    const session = open('sleep 1.8');
    session.guard(guardOf({ limitSeconds: 1 }))();
    assert.deepEqual((await session.close()).exit, { kind: 'status', status: 0 });
  });

  for (const when of ['before', 'while'] as const) {
    test(`is ended by an abort that came ${when} it was watched`, async () => {
      const abort = new AbortController();
      const session = open('sleep 60');
      if (when === 'before') abort.abort('SIGINT');
      session.guard(guardOf({ signal: abort.signal }));
      if (when === 'while') abort.abort('SIGINT');
      assert.deepEqual((await session.close()).exit, { kind: 'signal', signal: 'SIGKILL' });
    });
  }

  test('is cut where the peer has said its last word and stays', async () => {
    const session = open('sleep 60');
    session.guard(guardOf({ limitSeconds: 1 }));
    session.endSoon(1700);
    const { wasCut, lateAfter } = await session.close();
    assert.equal(wasCut, true);
    assert.equal(lateAfter, undefined, 'its stay does not count as a stall');
  });

  test('hears a word, or the end', async () => {
    const session = open('exit 0');
    assert.equal(await session.hears(new Promise(() => undefined)), false);
    const other = open('cat >/dev/null');
    assert.equal(await other.hears(Promise.resolve()), true);
    await Promise.all([session.close(), other.close()]);
  });

  test('is closed once, however often that is asked for', async () => {
    const session = open('cat >/dev/null');
    const both = await Promise.all([session.close(), session.close()]);
    assert.equal(both[0], both[1]);
  });
});

test('the last lines are few and cut, the newest last', () => {
  const last = new LastLines(5);
  for (let i = 0; i < 6; i++) last.push(`line ${i}`);
  assert.deepEqual(last.lines, ['line ', 'line ', 'line ', 'line ']);
  last.push('end');
  assert.equal(last.lines.at(-1), 'end');
});
