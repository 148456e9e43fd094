/** Today's program on what the program of commit 4bc2114 left behind. */

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import {
  CYCLE_TAG,
  chainTag,
  chainTagOf,
  snapshotName,
  timeOfTags,
  timeTag,
  UNCONFIRMED_TAG,
} from '../../src/cycle/names.js';
import { type HeldRecord, openHeldRecord } from '../../src/lvm/thin/held-record.js';
import { withMetadataSnap } from '../../src/lvm/thin/metadata-snap.js';
import { toCommand } from '../../src/cli/parse.js';
import { parseOptions } from '../../src/cli/option-grammar.js';
import { ownIdentity } from '../../src/host/process-identity.js';
import { Reporter } from '../../src/run/reporter.js';
import { acquireRunLock } from '../../src/host/run-lock.js';
import type { ChainSurvey } from '../helpers/chain/chain-laboratory.js';
import { assertFails, assertSucceeds } from '../helpers/program/cli.js';
import { FakePool, POOL, TRANSACTION_ID } from '../helpers/lvm/fake-pool.js';
import {
  attachLoop,
  CHAIN,
  COPY,
  detachLoop,
  noBinding,
  OLD_STATE,
  OldPlace,
  oldState,
} from '../helpers/program/old-state.js';
import { scratchFolder } from '../helpers/scratch.js';

const scratch = scratchFolder();
const skip = noBinding();

function assertHolds(place: OldPlace, number: number, path = COPY): void {
  assert.ok(place.read(path).equals(oldState(number)), `${path} holds state ${number}`);
}

function survey(place: OldPlace): ChainSurvey {
  const result = place.lvmsync(['chain', '--json', CHAIN, COPY]);
  assertSucceeds(result);
  return JSON.parse(result.stdout.toString());
}

const chain = (name: string): OldPlace => OldPlace.withChain(scratch, name);
const readState = (...names: string[]): string => readFileSync(join(OLD_STATE, ...names), 'utf8');

/** Back from that point to the first, a turn at a time, and forward again. */
function goThrough(place: OldPlace, from: number): void {
  for (let point = from - 1; point >= 0; point--) {
    assertSucceeds(place.rollback(['--steps', '1']));
    assertHolds(place, point);
  }
  for (let point = 1; point <= from; point++) {
    assertSucceeds(place.rollback(['--redo']));
    assertHolds(place, point);
  }
}

describe('a chain of 4bc2114', { skip }, () => {
  const facts: Record<string, { point: number | null; incomplete: boolean; points: number[] }> = {
    begun: { point: null, incomplete: true, points: [] },
    whole: { point: 2, incomplete: false, points: [2, 1, 0] },
    pruned: { point: 2, incomplete: false, points: [2, 1] },
    attempt: { point: 2, incomplete: true, points: [2, 1, 0] },
    'two-attempts': { point: 2, incomplete: true, points: [2, 1, 0] },
    'rolled-back': { point: 1, incomplete: false, points: [1, 0] },
    'rolling-back': { point: 2, incomplete: true, points: [2, 1, 0] },
    redoing: { point: 0, incomplete: true, points: [0] },
  };
  for (const [name, wanted] of Object.entries(facts)) {
    test(`${name}: is described as it is, and each of its links is whole`, () => {
      const place = chain(name);
      const hour = (point: { time: string } | null): number | null =>
        point && Number(point.time.slice(11, 13));
      const { point, points, incomplete, gap, mismatch, unused } = survey(place);
      assert.deepEqual({ point: hour(point), incomplete, points: points.map(hour) }, wanted);
      assert.deepEqual({ gap, mismatch, unused }, { gap: null, mismatch: null, unused: [] });
      assertSucceeds(place.lvmsync(['chain', CHAIN]));
      for (const link of place.links()) assertSucceeds(place.lvmsync(['inspect', link]));
    });
  }

  test('whole: goes back to each point and forward again', () => {
    goThrough(chain('whole'), 2);
  });

  test('whole: goes back by time, over two turns at once', () => {
    const place = chain('whole');
    assertSucceeds(place.rollback(['--to', '2026-11-23T00:00:00Z', '--dry-run']));
    assertHolds(place, 2);
    assertSucceeds(place.rollback(['--to', '2026-11-23T00:00:00Z']));
    assertHolds(place, 0);
  });

  test('whole: takes the next turn, before which it still goes back', () => {
    const place = chain('whole');
    assertSucceeds(place.turn('turn-3', ['--dry-run']));
    assertHolds(place, 2);
    assertSucceeds(place.turn('turn-3'));
    assertHolds(place, 3);
    goThrough(place, 3);
  });

  test('whole: takes no turn from another point', () => {
    const place = chain('whole');
    assertFails(place.turn('turn-2'), 12, /leads from/);
    assertHolds(place, 2);
  });

  test('begun: is begun again', () => {
    const place = chain('begun');
    assertSucceeds(place.turn('turn-0', ['--init']));
    assertHolds(place, 0);
    assertSucceeds(place.turn('turn-1'));
    goThrough(place, 1);
  });

  test('pruned: goes back as far as it was kept, and prunes on', () => {
    const place = chain('pruned');
    assertSucceeds(place.rollback(['--steps', '1']));
    assertHolds(place, 1);
    assertFails(place.rollback(['--steps', '1']), 12, /go back/);
    assertSucceeds(place.rollback(['--redo']));
    assertSucceeds(place.turn('turn-3', ['--keep', '1']));
    assertHolds(place, 3);
    assert.equal(survey(place).points.length, 2);
  });

  for (const name of ['attempt', 'two-attempts']) {
    test(`${name}: is completed by the same turn, and goes back`, () => {
      const place = chain(name);
      assertSucceeds(place.turn('turn-3'));
      assertHolds(place, 3);
      goThrough(place, 3);
    });

    test(`${name}: is undone, and taken again`, () => {
      const place = chain(name);
      assertSucceeds(place.rollback(['--steps', '0']));
      assertHolds(place, 2);
      assertSucceeds(place.turn('turn-3'));
      goThrough(place, 3);
    });

    test(`${name}: goes back further in one step`, () => {
      const place = chain(name);
      assertSucceeds(place.rollback(['--steps', '2']));
      assertHolds(place, 0);
    });
  }

  test('rolled-back: goes forward again', () => {
    const place = chain('rolled-back');
    assertSucceeds(place.rollback(['--redo', '--dry-run']));
    assertHolds(place, 1);
    assertSucceeds(place.rollback(['--redo']));
    assertHolds(place, 2);
    goThrough(place, 2);
  });

  test('rolled-back: takes a turn from there', () => {
    const place = chain('rolled-back');
    assertSucceeds(place.turn('turn-2'));
    assertHolds(place, 2);
    goThrough(place, 2);
  });

  test('rolling-back: is finished by the same command, and goes forward again', () => {
    const place = chain('rolling-back');
    assertFails(place.turn('turn-3'), 12, /rollback/);
    assertSucceeds(place.rollback(['--to', '2026-11-23T00:00:00Z']));
    assertHolds(place, 0);
    assertSucceeds(place.rollback(['--redo']));
    assertHolds(place, 2);
  });

  test('rolling-back: is taken back', () => {
    const place = chain('rolling-back');
    assertSucceeds(place.rollback(['--redo']));
    assertHolds(place, 2);
    goThrough(place, 2);
  });

  test('redoing: is finished', () => {
    const place = chain('redoing');
    assertSucceeds(place.rollback(['--redo']));
    assertHolds(place, 2);
    goThrough(place, 2);
  });
});

describe('an undo file of 4bc2114', { skip }, () => {
  const inMnt = (): OldPlace => new OldPlace(scratch);

  test('of a file takes the run back', () => {
    const place = inMnt();
    place.write('/mnt/file.img', oldState(1));
    const undo = place.bring('undo/file.undo');
    assertSucceeds(place.lvmsync(['inspect', undo]));
    assertSucceeds(place.lvmsync(['--apply', undo, '--dry-run', '/mnt/file.img']));
    assertHolds(place, 1, '/mnt/file.img');
    assertSucceeds(place.lvmsync(['--apply', undo, '/mnt/file.img']));
    assertHolds(place, 0, '/mnt/file.img');
  });

  test('of a file that a run made larger gives it its former size', () => {
    const place = inMnt();
    place.write('/mnt/grown.img', readFileSync(join(OLD_STATE, 'undo/grown.img')));
    assertSucceeds(place.lvmsync(['--apply', place.bring('undo/grown.undo'), '/mnt/grown.img']));
    const former = oldState(0).subarray(0, 40 * 1024);
    assert.ok(place.read('/mnt/grown.img').equals(former));
  });

  test('of a run that was killed takes back what it did', () => {
    const place = inMnt();
    const copy = place.bring('undo/cut.img');
    assertSucceeds(place.lvmsync(['--apply', place.bring('undo/cut.undo'), copy]));
    assertHolds(place, 0, copy);
  });

  test('of a block device takes the run back', (t) => {
    const place = inMnt();
    place.write('/mnt/device.img', oldState(1));
    const loop = attachLoop(place.path('/mnt/device.img'));
    if ('skip' in loop) return t.skip(loop.skip);
    try {
      const words = ['--apply', place.bring('undo/device.undo'), '/dev/loop0'];
      assertSucceeds(place.lvmsync(words, loop));
    } finally {
      detachLoop(loop.device);
    }
    assertHolds(place, 0, '/mnt/device.img');
  });
});

describe('a record of a held metadata snap, by 4bc2114', () => {
  let count = 0;

  /** A run on a pool that holds root 17, with that record there; the messages that it sent. */
  async function run(name: string, change: Partial<HeldRecord> = {}): Promise<readonly string[]> {
    const folder = join(scratch, `held-${count++}`);
    const lockDirectory = join(folder, 'locks');
    cpSync(join(OLD_STATE, 'held', name), folder, { recursive: true });
    mkdirSync(lockDirectory);
    const file = openHeldRecord(POOL.uuid, folder);
    assert.ok(file.read(), 'it is found and understood');
    writeFileSync(file.path, JSON.stringify({ ...file.read(), ...change }));
    const pool = new FakePool({ heldRoot: 17 });
    const context = {
      reporter: new Reporter({ verbosity: 'quiet', write: () => undefined, isTTY: false }),
      signal: new AbortController().signal,
      commandLine: 'lvmsync a b',
      run: pool.run,
      recordDirectory: folder,
      lockDirectory,
      startWatcher: async () => ({ dismiss: async () => undefined }),
    };
    await withMetadataSnap(POOL, context, async () => undefined);
    return pool.messages;
  }

  for (const name of ['holds', 'about-to-reserve']) {
    test(`${name}: of a run that died: what it held is released`, async () => {
      assert.deepEqual(await run(name), ['release', 'reserve', 'release']);
    });

    test(`${name}: of a run that lives: what it holds is left alone`, async () => {
      await assert.rejects(run(name, { owner: ownIdentity() }), { code: 'pool', exitStatus: 18 });
    });
  }

  test('is of the transaction that the fake pool is in', () => {
    const [name = ''] = readdirSync(join(OLD_STATE, 'held/about-to-reserve'));
    const { transactionId } = JSON.parse(readState('held/about-to-reserve', name));
    assert.equal(transactionId, TRANSACTION_ID);
  });
});

describe('a lock file of 4bc2114', () => {
  const key = 'file-8:1/7';
  let count = 0;

  /** The folder for locks with that one in it; the pid is that of this test where it is to live. */
  function folderWith(name: string, owner: object): { folder: string; file: string } {
    const folder = join(scratch, `claims-${count++}`);
    mkdirSync(folder);
    const [record = '', ...words] = readState('claims', name).split('\n');
    const file = 'file-8-1-7.05f9391f-2397-4546-9699-3573e8449ff8.lock';
    const text = [JSON.stringify({ ...JSON.parse(record), ...owner }), ...words].join('\n');
    writeFileSync(join(folder, file), text);
    return { folder, file };
  }

  for (const name of readdirSync(join(OLD_STATE, 'claims'))) {
    test(`${basename(name, '.lock')}: holds while its process lives`, async () => {
      const { folder, file } = folderWith(name, ownIdentity());
      const request = { path: 'x', command: 'lvmsync a x', directory: folder };
      await assert.rejects(acquireRunLock(key, request), {
        code: 'locked',
        message: new RegExp(`process ${process.pid}: lvmsync --apply - .*/mnt/copy\\.img`),
      });
      assert.deepEqual(readdirSync(folder), [file]);
    });

    test(`${basename(name, '.lock')}: is removed when its process has ended`, async () => {
      const { folder } = folderWith(name, {});
      const request = { path: 'x', command: 'lvmsync a x', directory: folder };
      (await acquireRunLock(key, request)).release();
      assert.deepEqual(readdirSync(folder), []);
    });
  }
});

describe('the snapshots of a cycle of 4bc2114', () => {
  const tags = JSON.parse(readState('tags.json'));

  test('are known by their tags', () => {
    assert.deepEqual([tags.cycle, tags.unconfirmed], [CYCLE_TAG, UNCONFIRMED_TAG]);
    for (const { destination, directory, tag } of tags.chains) {
      const place = { user: undefined, host: undefined, ...destination };
      assert.equal(chainTag(place, directory), tag);
      assert.equal(chainTagOf([CYCLE_TAG, tag]), tag);
    }
    for (const { time, tag } of tags.times) {
      assert.equal(timeTag(time), tag);
      assert.equal(timeOfTags([CYCLE_TAG, tag]), time);
    }
  });

  test('are called as they are today', () => {
    for (const { vgName, lvName, time, name } of tags.names) {
      assert.equal(snapshotName({ vgName, lvName }, time), name);
    }
  });

  test('are taken by a unit whose command line is understood', () => {
    const unit = readState('systemd/lvmsync-cycle@.service');
    const [, program = ''] = /^ExecStart=\/usr\/bin\/lvmsync (.*)$/m.exec(unit) ?? [];
    const [, given = ''] = /^# +ARGUMENTS="(.*)"$/m.exec(unit) ?? [];
    const words = program.replace('$ARGUMENTS', given).split(' ');
    assert.equal(toCommand(parseOptions(words)).kind, 'cycle');
  });
});
