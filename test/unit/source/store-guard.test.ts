import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import type { FileDevice } from '../../../src/device/block-device.js';
import type { Argv, RunCommand } from '../../../src/host/subprocess.js';
import type { RunContext } from '../../../src/run/context.js';
import { interrupted } from '../../../src/run/interruption.js';
import { Reporter } from '../../../src/run/reporter.js';
import { requireWhole } from '../../../src/source/overflow.js';
import { guardStores, type StoreGuard } from '../../../src/source/store-guard.js';

const SNAP = { name: 'vg/snap', dmUuid: 'LVM-snap' };
const POOL = { name: 'vg/pool', dmUuid: 'LVM-pool-tpool' };
/** A regular file: a view of nothing. */
const PLAIN = { info: { blockDevice: false } } as FileDevice;

const thick = (used: number): string => `0 81920 snapshot ${used}/1000 16\n`;
const pool = (metadata: number, data: number, rest = 'rw discard_passdown'): string =>
  `0 81920 thin-pool 1 ${metadata}/1000 ${data}/1000 - ${rest} queue_if_no_space - 1024\n`;

/** Answers each look with the next status, the last one for ever. */
function answering(...statuses: string[]): { readonly run: RunCommand; readonly calls: Argv[] } {
  const calls: Argv[] = [];
  const run: RunCommand = async (argv) => {
    const stdout = statuses[Math.min(calls.length, statuses.length - 1)] ?? '';
    calls.push(argv);
    if (stdout === 'fails') throw new LvmsyncError('sourceUnfit', 'dmsetup: exit status 1');
    return { stdout, stderr: '' };
  };
  return { run, calls };
}

const QUIET = new Reporter({ verbosity: 'quiet', write: () => undefined, isTTY: false });

function contextOf(signal = new AbortController().signal, reporter = QUIET): RunContext {
  const silent = { print: () => undefined, answer: () => undefined };
  return { reporter, signal, commandLine: '', agentSocket: undefined, engine: 'auto', ...silent };
}

function guardOf(stores: StoreGuard['source']['stores'], maxPercent?: number): StoreGuard {
  return { source: { device: PLAIN, stores }, maxPercent, context: contextOf() };
}

/** Work that goes on until it is stopped, and then ends as a pipeline does. */
async function endless({ signal }: RunContext): Promise<never> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  throw interrupted(signal);
}

test('a source that is no view of a snapshot needs no look at its end', async () => {
  const { run, calls } = answering('0 81920 snapshot Invalid\n');
  await requireWhole({ device: PLAIN, members: [] }, run);
  assert.equal(calls.length, 0);
});

describe('a guard over stores', () => {
  test('without a limit asks for nothing and hands the work its own signal', async () => {
    const { run, calls } = answering(thick(999));
    const guard = guardOf([SNAP]);
    const seen = await guardStores(guard, async ({ signal }) => signal, { run });
    assert.equal(seen, guard.context.signal);
    assert.equal(calls.length, 0);
  });

  test('looks again and again while the work goes on, and no more after it', async () => {
    const { run, calls } = answering(thick(100));
    const pause = (milliseconds: number) =>
      new Promise((resolve) => setTimeout(resolve, milliseconds));
    const work = async (): Promise<number> => {
      while (calls.length < 3) await pause(1);
      return 7;
    };
    assert.equal(await guardStores(guardOf([SNAP], 80), work, { run, interval: 5 }), 7);
    const { length } = calls;
    await pause(60);
    assert.equal(calls.length, length);
    assert.deepEqual(calls[0], ['dmsetup', 'status', '--noflush', '-u', 'LVM-snap']);
  });

  const refusals: readonly [string, string, typeof SNAP, RegExp, number, RegExp][] = [
    [
      'COW store',
      thick(800),
      SNAP,
      /^vg\/snap: its COW store is 80\.0% full/,
      10,
      /--size \+SIZE vg\/snap/,
    ],
    [
      'data',
      pool(10, 801),
      POOL,
      /^vg\/pool: its data are 80\.1% full/,
      18,
      /--size \+SIZE vg\/pool/,
    ],
    [
      'metadata',
      pool(900, 10),
      POOL,
      /^vg\/pool: its metadata are 90\.0% full/,
      18,
      /--poolmetadatasize \+SIZE vg\/pool/,
    ],
  ];
  for (const [what, status, store, message, exitStatus, hint] of refusals) {
    const fits = (error: unknown): boolean => {
      assert.ok(error instanceof LvmsyncError);
      assert.match(error.message, message);
      assert.match(error.hint ?? '', hint);
      assert.equal(error.exitStatus, exitStatus);
      return true;
    };

    test(`refuses to begin where the ${what} is so full`, async () => {
      let begun = false;
      const work = async () => {
        begun = true;
      };
      const { run } = answering(status);
      await assert.rejects(guardStores(guardOf([store], 80), work, { run }), (error) => {
        assert.match((error as LvmsyncError).state ?? '', /Nothing was written/);
        return fits(error);
      });
      assert.equal(begun, false);
    });

    test(`stops the work when the ${what} has become so full`, async () => {
      const before = store === SNAP ? thick(799) : pool(799, 799);
      const { run } = answering(before, before, status);
      const ended = guardStores(guardOf([store], 80), endless, { run, interval: 1 });
      await assert.rejects(ended, fits);
    });
  }

  test('asks for each store by itself, and once', async () => {
    const { run } = answering(pool(1, 1), thick(850));
    const ended = guardStores(guardOf([POOL, SNAP, POOL], 80), endless, { run });
    await assert.rejects(ended, /^LvmsyncError: vg\/snap: its COW store is 85\.0% full/);
  });

  test('goes on when a list that was read whole is lost', async () => {
    const { run } = answering(thick(1), '0 81920 snapshot Invalid\n');
    const work = () => new Promise((resolve) => setTimeout(resolve, 30, 'done'));
    assert.equal(await guardStores(guardOf([SNAP], 80), work, { run, interval: 1 }), 'done');
  });

  for (const [what, status, message] of [
    ['the pool fails', '0 81920 thin-pool Fail\n', /the thin pool has failed/],
    ['nothing can be told any more', 'fails', /dmsetup: exit status 1/],
  ] as const) {
    test(`stops the work when ${what}`, async () => {
      const { run } = answering(pool(1, 1), status);
      await assert.rejects(
        guardStores(guardOf([POOL], 80), endless, { run, interval: 1 }),
        message,
      );
    });
  }

  test('refuses a limit where nothing fills', async () => {
    const { run } = answering('0 81920 linear\n');
    for (const stores of [[], [SNAP]]) {
      await assert.rejects(
        guardStores(guardOf(stores, 80), endless, { run }),
        /neither a COW store nor a thin pool/,
      );
    }
  });

  test('passes on a signal to the run', async () => {
    const controller = new AbortController();
    const guard = { ...guardOf([SNAP], 80), context: contextOf(controller.signal) };
    const ended = guardStores(guard, endless, { run: answering(thick(1)).run });
    setTimeout(() => controller.abort('SIGTERM'), 5);
    await assert.rejects(ended, /interrupted by SIGTERM/);
  });

  describe('where the progress of the run is shown', () => {
    const pause = (milliseconds = 60) =>
      new Promise((resolve) => setTimeout(resolve, milliseconds));

    /** What a progress tells after some looks, of which there may be no more than `most`. */
    async function told(
      statuses: readonly string[],
      most = Number.POSITIVE_INFINITY,
    ): Promise<{ fills: unknown; looks: number }> {
      const written: string[] = [];
      const write = (text: string): number => written.push(text);
      const reporter = new Reporter({ verbosity: 'normal', write, isTTY: false, form: 'json' });
      const guard = { ...guardOf([SNAP]), context: contextOf(undefined, reporter) };
      const { run, calls } = answering(...statuses);
      const work = async () => {
        while (calls.length < Math.min(most, statuses.length + 1)) await pause(1);
        await pause();
      };
      await guardStores(guard, work, { run, first: 1, further: 5 });
      reporter.progress({ activity: 'Sending', doneBytes: 0, totalBytes: 0 });
      const looks = calls.length;
      await pause();
      assert.equal(calls.length, looks, 'no look after the work');
      return { fills: JSON.parse(written.join('')).fills, looks };
    }

    test('looks now and then without a limit, and tells what it sees', async () => {
      const { fills, looks } = await told([thick(100), thick(200)]);
      assert.deepEqual(fills, [{ name: 'vg/snap', what: 'COW store', percent: 20 }]);
      assert.ok(looks > 1);
    });

    test('tells of both parts of a pool', async () => {
      const { fills } = await told([pool(15, 801)]);
      assert.deepEqual(fills, [
        { name: 'vg/snap', what: 'data', percent: 80.1 },
        { name: 'vg/snap', what: 'metadata', percent: 1.5 },
      ]);
    });

    for (const [what, status] of [
      ['nothing fills', '0 81920 linear\n'],
      ['nothing can be told', 'fails'],
      ['the snapshot has overflowed', '0 81920 snapshot Invalid\n'],
    ] as const) {
      test(`does not look again where ${what}, and lets the run go on`, async () => {
        assert.deepEqual(await told([status], 1), { fills: [], looks: 1 });
      });
    }

    test('does not hold up the end of the run where a look hangs', async () => {
      const reporter = new Reporter({ verbosity: 'normal', write: () => undefined, isTTY: false });
      const guard = { ...guardOf([SNAP]), context: contextOf(undefined, reporter) };
      let looking: () => void = () => undefined;
      const begun = new Promise<void>((resolve) => {
        looking = resolve;
      });
      const run: RunCommand = (_argv, { signal } = {}) => {
        looking();
        return new Promise((_, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason));
        });
      };
      const work = async (): Promise<number> => {
        await begun;
        return 7;
      };
      assert.equal(await guardStores(guard, work, { run, first: 1 }), 7);
    });

    test('does not start a tool for a run that is over at once', async () => {
      const reporter = new Reporter({ verbosity: 'normal', write: () => undefined, isTTY: false });
      const guard = { ...guardOf([SNAP]), context: contextOf(undefined, reporter) };
      const { run, calls } = answering(thick(1));
      assert.equal(await guardStores(guard, async () => 7, { run }), 7);
      assert.equal(calls.length, 0);
    });
  });

  test('leaves other failures of the work as they are', async () => {
    const failure = new LvmsyncError('sourceRead', '/dev/vg/lv: read error at byte 0');
    const work = async () => {
      throw failure;
    };
    const { run } = answering(thick(1));
    await assert.rejects(guardStores(guardOf([SNAP], 80), work, { run }), (error) => {
      return error === failure;
    });
  });
});
