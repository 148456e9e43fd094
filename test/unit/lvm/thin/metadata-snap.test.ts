import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LvmsyncError } from '../../../../src/base/errors.js';
import { ownIdentity } from '../../../../src/host/process-identity.js';
import { acquireRunLock } from '../../../../src/host/run-lock.js';
import {
  type HeldRecord,
  type HeldRecordFile,
  openHeldRecord,
} from '../../../../src/lvm/thin/held-record.js';
import { releaseForDeadRun, withMetadataSnap } from '../../../../src/lvm/thin/metadata-snap.js';
import { Reporter } from '../../../../src/run/reporter.js';
import {
  FakePool,
  type FakePoolState,
  POOL,
  TRANSACTION_ID,
} from '../../../helpers/lvm/fake-pool.js';
import { IN_NAMESPACE, noNamespace } from '../../../helpers/program/pid-namespace.js';
import { scratchFolder } from '../../../helpers/scratch.js';

const scratch = scratchFolder();
const skip = noNamespace();
const DEAD = { ...ownIdentity(), startTime: '1' };

let folder: string;
let lockDirectory: string;
let recordDirectory: string;
let lines: string[];
let watchers: string[];

beforeEach(() => {
  folder = mkdtempSync(join(scratch, 'run-'));
  lockDirectory = join(folder, 'locks');
  recordDirectory = join(folder, 'records');
  mkdirSync(lockDirectory);
  lines = [];
  watchers = [];
});

function hold<T>(
  pool: FakePool,
  work: () => Promise<T>,
  signal: AbortSignal = new AbortController().signal,
  more: { readonly lockLimitMs?: number } = {},
): Promise<T> {
  const write = (text: string): void => void lines.push(text.trimEnd());
  return withMetadataSnap(
    POOL,
    {
      reporter: new Reporter({ verbosity: 'verbose', write, isTTY: false }),
      signal,
      commandLine: 'lvmsync a b',
      run: pool.run,
      recordDirectory,
      lockDirectory,
      ...more,
      startWatcher: async () => {
        watchers.push('started');
        return { dismiss: async () => void watchers.push('dismissed') };
      },
    },
    work,
  );
}

function record(): HeldRecordFile {
  return openHeldRecord(POOL.uuid, recordDirectory);
}

/** As a run leaves it that is killed. */
function forgeRecord(owner: object, state: Omit<HeldRecord, 'owner'>): void {
  writeFileSync(record().path, JSON.stringify({ owner, ...state }));
}

function assertNothingLeft(): void {
  assert.deepEqual(readdirSync(lockDirectory), [], 'no lock');
  assert.ok(!existsSync(recordDirectory) || readdirSync(recordDirectory).length === 0, 'no record');
}

const nothing = async (): Promise<void> => undefined;

describe('withMetadataSnap', () => {
  test('reserves before the work and releases after it, looking at the status around both', async () => {
    const pool = new FakePool();
    const result = await hold(pool, async () => {
      pool.calls.push('work');
      assert.equal(pool.heldRoot, 31);
      const owner = { ...ownIdentity(), kernelLock: true };
      assert.deepEqual(record().read(), { owner, heldRoot: 31, hasEnded: false });
      assert.deepEqual(watchers, ['started']);
      return 'what was found';
    });
    assert.equal(result, 'what was found');
    assert.deepEqual(pool.calls, [
      ...['status', 'reserve', 'status', 'work'],
      ...['status', 'release', 'status'],
    ]);
    assert.deepEqual(watchers, ['started', 'dismissed']);
    assert.deepEqual(lines, [
      'vg0/pool: reserved its metadata snap (root 31)',
      'vg0/pool: released its metadata snap',
    ]);
    assertNothingLeft();
  });

  test('has said on disk that it is about to reserve before it does', async () => {
    const pool = new FakePool();
    let seen: unknown;
    pool.onMessage = () => {
      seen ??= JSON.parse(readFileSync(record().path, 'utf8'));
      return false;
    };
    await hold(pool, nothing);
    const owner = { ...ownIdentity(), kernelLock: true };
    assert.deepEqual(seen, { owner, transactionId: TRANSACTION_ID });
  });

  test('releases what the record of a dead run says it held, says so, and works', async () => {
    const pool = new FakePool({ heldRoot: 17 });
    forgeRecord(DEAD, { heldRoot: 17 });
    assert.equal(await hold(pool, async () => pool.heldRoot), 31);
    assert.deepEqual(pool.messages, ['release', 'reserve', 'release']);
    assert.match(lines[0] ?? '', /released the metadata snap that a crashed run left \(root 17\)/);
    assertNothingLeft();
  });

  test('does not say that it released what it could not release', async () => {
    const pool = new FakePool({ heldRoot: 17 });
    forgeRecord(DEAD, { heldRoot: 17 });
    pool.onMessage = (message) => message === 'release_metadata_snap';
    await assert.rejects(hold(pool, nothing), /could not be released \(root 17\)/);
    assert.deepEqual(lines, []);
  });

  test('releases what a dead run was about to reserve, if nothing has changed in the pool since', async () => {
    const pool = new FakePool({ heldRoot: 17 });
    forgeRecord(DEAD, { transactionId: TRANSACTION_ID });
    assert.equal(await hold(pool, async () => pool.heldRoot), 31);
    assert.deepEqual(pool.messages, ['release', 'reserve', 'release']);
    assert.match(lines[0] ?? '', /released the metadata snap .*\(root 17\)/);
    assertNothingLeft();
  });

  test('waits for the message of a dead run that may be on its way', async () => {
    const pool = new FakePool();
    forgeRecord(DEAD, { transactionId: TRANSACTION_ID });
    setTimeout(() => (pool.heldRoot = 40), 100);
    assert.equal(await hold(pool, async () => pool.heldRoot), 31);
    assert.deepEqual(pool.messages, ['release', 'reserve', 'release']);
    assertNothingLeft();
  });

  const foreigners: readonly (readonly [string, () => void])[] = [
    ['nobody', () => undefined],
    ['a run that is alive', () => forgeRecord(ownIdentity(), { heldRoot: 17 })],
    ['a dead run that held another root', () => forgeRecord(DEAD, { heldRoot: 18 })],
    [
      'a dead run that was about to reserve, before the pool went on',
      () => forgeRecord(DEAD, { transactionId: TRANSACTION_ID - 1 }),
    ],
    [
      'a run that is about to reserve',
      () => forgeRecord(ownIdentity(), { transactionId: TRANSACTION_ID }),
    ],
    [
      'a process in another pid namespace',
      () => forgeRecord({ ...DEAD, pidNamespace: 'x' }, { heldRoot: 17 }),
    ],
    ['a record that is cut off', () => writeFileSync(record().path, '{"owner":{"pid":1')],
  ];
  for (const [whose, forge] of foreigners) {
    test(`leaves a held one alone whose record is of ${whose}`, async () => {
      const pool = new FakePool({ heldRoot: 17 });
      forge();
      await assert.rejects(hold(pool, nothing), {
        code: 'pool',
        exitStatus: 18,
        message: /metadata snap is already held \(root 17\)/,
        hint: 'If no other program needs it: dmsetup message vg0-pool-tpool 0 release_metadata_snap',
      });
      assert.deepEqual(pool.calls, ['status']);
      assert.equal(pool.heldRoot, 17);
      assert.deepEqual(watchers, []);
    });
  }

  const unusable: readonly (readonly [FakePoolState, RegExp])[] = [
    [{ mode: 'ro' }, /the thin pool is read-only/],
    [{ mode: 'ro', needsCheck: true }, /needs a check of its metadata/],
    [{ mode: 'ro', usedMetadataBlocks: 1024 }, /is out of metadata space/],
    [{ needsCheck: true }, /needs a check of its metadata/],
    [{ mode: 'ro', heldRoot: 17 }, /is read-only/],
    [{ failed: true }, /the thin pool has failed/],
  ];
  for (const [state, message] of unusable) {
    test(`refuses by name, and sends no message to, a pool with ${JSON.stringify(state)}`, async () => {
      const pool = new FakePool(state);
      await assert.rejects(hold(pool, nothing), { code: 'pool', exitStatus: 18, message });
      assert.deepEqual(pool.messages, []);
      assertNothingLeft();
    });
  }

  test('fails if the release returns without an error but does not release', async () => {
    const pool = new FakePool();
    pool.onMessage = (message) => message === 'release_metadata_snap';
    await assert.rejects(hold(pool, nothing), {
      code: 'pool',
      message: /could not be released \(root 31\)/,
      hint: /dmsetup message vg0-pool-tpool 0 release_metadata_snap/,
    });
    assert.equal(record().read()?.heldRoot, 31, 'the next run can tell whose it is');
  });

  test('fails if the reservation returns without an error but reserves nothing', async () => {
    const pool = new FakePool();
    pool.onMessage = (message) => message === 'reserve_metadata_snap';
    await assert.rejects(hold(pool, nothing), {
      code: 'pool',
      message: /reserved no metadata snap/,
    });
    assert.deepEqual(pool.messages, ['reserve']);
    assertNothingLeft();
  });

  test('never releases what somebody else reserved in between', async () => {
    const pool = new FakePool();
    pool.onMessage = () => {
      pool.heldRoot ??= 99;
      return false;
    };
    await assert.rejects(hold(pool, nothing), { code: 'pool', message: /Device or resource busy/ });
    assert.deepEqual(pool.messages, ['reserve']);
    assert.equal(pool.heldRoot, 99);
    assertNothingLeft();
  });

  test('releases what a reservation took whose tool was ended before it could say so', async () => {
    const pool = new FakePool();
    pool.onMessage = (message) => {
      if (message === 'release_metadata_snap') return false;
      pool.heldRoot = 31;
      return pool.interrupt();
    };
    await assert.rejects(hold(pool, nothing), { code: 'pool', message: /ended by SIGTERM/ });
    assert.equal(pool.heldRoot, undefined);
    assertNothingLeft();
  });

  test('takes a release as done whose tool failed after the pool had obeyed', async () => {
    const pool = new FakePool();
    pool.onMessage = (message) => {
      if (message === 'reserve_metadata_snap') return false;
      pool.heldRoot = undefined;
      return pool.interrupt();
    };
    assert.equal(await hold(pool, async () => 5), 5);
    assertNothingLeft();
  });

  test('releases when the work fails, and throws what the work threw', async () => {
    const pool = new FakePool();
    const failure = new Error('thin_dump: bad checksum');
    await assert.rejects(
      hold(pool, async () => {
        throw failure;
      }),
      (error) => error === failure,
    );
    assert.equal(pool.heldRoot, undefined);
    assert.deepEqual(watchers, ['started', 'dismissed']);
    assertNothingLeft();
  });

  test('throws what the work threw also if the release fails, which it reports', async () => {
    const pool = new FakePool();
    pool.onMessage = (message) => message === 'release_metadata_snap';
    const failure = new LvmsyncError('sourceRead', 'the first fault');
    await assert.rejects(
      hold(pool, async () => {
        throw failure;
      }),
      (error) => error === failure,
    );
    assert.ok(
      lines.some((line) => /^ERROR: .*could not be released \(root 31\)/.test(line)),
      lines.join('\n'),
    );
  });

  test('releases after a work that a signal ended, and throws the reason', async () => {
    const pool = new FakePool();
    const controller = new AbortController();
    const work = async (): Promise<void> => {
      controller.abort('SIGTERM');
      controller.signal.throwIfAborted();
    };
    await assert.rejects(hold(pool, work, controller.signal), (error) => error === 'SIGTERM');
    assert.equal(pool.heldRoot, undefined);
    assertNothingLeft();
  });

  test('says that it waits for another run on the pool, and then goes on', async () => {
    const pool = new FakePool();
    let endFirst: () => void = () => undefined;
    const first = hold(pool, () => new Promise<void>((resolve) => (endFirst = resolve)));
    while (pool.heldRoot === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    const second = hold(pool, async () => pool.heldRoot);
    while (!lines.some((line) => /: waiting$/.test(line))) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepEqual(pool.messages, ['reserve']);
    endFirst();
    await first;
    assert.equal(await second, 32);
    assert.deepEqual(pool.messages, ['reserve', 'release', 'reserve', 'release']);
    assert.equal(lines.filter((line) => /: waiting$/.test(line)).length, 1);
    assertNothingLeft();
  });

  test('gives up waiting for another run when a signal comes', async () => {
    const key = `block-${POOL.number}`;
    const request = { path: 'x', command: 'another', directory: lockDirectory };
    const lock = await acquireRunLock(key, request);
    const pool = new FakePool();
    await assert.rejects(
      hold(pool, nothing, AbortSignal.abort('SIGINT')),
      (error) => error === 'SIGINT',
    );
    lock.release();
    assert.deepEqual(pool.calls, []);
  });

  test('F10: gives up waiting for another run when that takes too long, and names it', async () => {
    const key = `block-${POOL.number}`;
    const request = { path: 'x', command: 'lvmsync of another', directory: lockDirectory };
    const lock = await acquireRunLock(key, request);
    const pool = new FakePool();
    await assert.rejects(hold(pool, nothing, undefined, { lockLimitMs: 300 }), {
      code: 'locked',
      exitStatus: 19,
      message: new RegExp(`vg0/pool.*process ${process.pid}: lvmsync of another.*gave up`),
    });
    assert.equal(lines.filter((line) => /: waiting$/.test(line)).length, 1);
    lock.release();
    assert.deepEqual(pool.calls, []);
  });

  test('F10: goes on where the run that had it was killed in a container', { skip }, async () => {
    const script = fileURLToPath(new URL('../../../helpers/lvm/snap-holder.js', import.meta.url));
    const [execPath, ...execArgv] = [...IN_NAMESPACE, process.execPath];
    const holder = fork(script, [recordDirectory, lockDirectory], { execPath, execArgv });
    const [heldRoot] = await once(holder, 'message');
    const pool = new FakePool({ heldRoot });
    await assert.rejects(hold(pool, nothing, undefined, { lockLimitMs: 300 }), { code: 'locked' });
    assert.match(lines[0] ?? '', /in another container: lvmsync held a\): waiting$/);
    assert.deepEqual(pool.calls, []);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await hold(pool, nothing, undefined, { lockLimitMs: 10_000 });
    assert.deepEqual(pool.messages, ['release', 'reserve', 'release']);
    assertNothingLeft();
  });

  test('asks nothing of the pool where the record cannot be kept', async () => {
    const pool = new FakePool();
    writeFileSync(recordDirectory, 'a file where the directory should be');
    await assert.rejects(hold(pool, nothing), {
      code: 'pool',
      message: /the record of the held metadata snap cannot be written/,
    });
    assert.deepEqual(pool.calls, []);
  });
});

describe('releaseForDeadRun', () => {
  const released = (pool: FakePool): Promise<void> =>
    releaseForDeadRun(POOL, record(), { run: pool.run, lockDirectory });

  test('releases what the dead run held', async () => {
    const pool = new FakePool({ heldRoot: 17 });
    forgeRecord(DEAD, { heldRoot: 17 });
    await released(pool);
    assert.equal(pool.heldRoot, undefined);
    assertNothingLeft();
  });

  test('releases what the dead run had been about to reserve, also if that comes late', async () => {
    const pool = new FakePool();
    forgeRecord(DEAD, { transactionId: TRANSACTION_ID });
    setTimeout(() => (pool.heldRoot = 40), 100);
    await released(pool);
    assert.deepEqual(pool.messages, ['release']);
    assertNothingLeft();
  });

  test('removes a record of nothing', async () => {
    const pool = new FakePool();
    forgeRecord(DEAD, { transactionId: TRANSACTION_ID });
    await released(pool);
    assert.deepEqual(pool.messages, []);
    assertNothingLeft();
  });

  test('leaves what a run holds by now that lives', async () => {
    const pool = new FakePool({ heldRoot: 17 });
    forgeRecord(ownIdentity(), { heldRoot: 17 });
    await released(pool);
    assert.deepEqual(pool.messages, []);
    assert.equal(record().read()?.heldRoot, 17);
  });

  test('leaves what somebody else holds under another root', async () => {
    const pool = new FakePool({ heldRoot: 50 });
    forgeRecord(DEAD, { heldRoot: 17 });
    await released(pool);
    assert.deepEqual(pool.messages, []);
  });

  test('does nothing where a later run has cleaned up', async () => {
    const pool = new FakePool({ heldRoot: 50 });
    await released(pool);
    assert.deepEqual(pool.calls, []);
  });

  test('does not look before a later run on the pool has ended', async () => {
    const pool = new FakePool({ heldRoot: 17 });
    forgeRecord(DEAD, { heldRoot: 17 });
    const key = `block-${POOL.number}`;
    const request = { path: 'x', command: 'another', directory: lockDirectory };
    const lock = await acquireRunLock(key, request);
    const done = released(pool);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(pool.calls, []);
    lock.release();
    await done;
    assert.equal(pool.heldRoot, undefined);
  });
});
