import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT } from '../../../src/base/errors.js';
import { DrawnTests, someOf } from '../../helpers/faults/campaign.js';
import {
  applyBegunSnapback,
  assertFails,
  CLI,
  ENGINES,
  lvmsync,
  syncs,
} from '../../helpers/program/cli.js';
import {
  assertDifferentContent,
  assertSameContent,
  overlapping,
  saveContent,
  writeRandom,
} from '../harness/content.js';
import { withThickCopy } from '../harness/copies.js';
import { KiB, type LogicalVolume, MiB } from '../harness/lvm.js';

describe('a snapback', () => {
  const tests = new DrawnTests();
  const { scenario } = tests;
  const lab = withThickCopy({ size: 32 * MiB, copyHolds: 'other data' });
  const { folder, random } = lab;
  const snapback = `${folder}/snapback`;
  beforeEach(() => {
    lab.restore();
    rmSync(snapback, { force: true });
  });

  const changedSnapshot = (t?: TestContext, chunkSize = 4 * KiB): LogicalVolume => {
    const snapshot = lab.createSnapshot({ chunkSize, ...(t && { until: t }) });
    lab.change(500);
    writeRandom(lab.origin.path, random, overlapping(random, 5 * MiB, 30));
    return snapshot;
  };
  const rollBack = (): void => {
    assertDifferentContent(lab.copy.path, lab.untouched);
    syncs(['--apply', snapback, lab.copy.path]);
    lab.assertUntouched();
  };

  const cases = ENGINES.flatMap((engine) =>
    [4 * KiB, 32 * KiB, 512 * KiB].map((chunkSize) => ({ engine, chunkSize })),
  );
  for (const { engine, chunkSize } of someOf(cases, 2, random)) {
    scenario(
      `of a local sync restores the byte-exact former content (${chunkSize / KiB} KiB chunks, ${engine})`,
      (t) => {
        const snapshot = changedSnapshot(t, chunkSize);
        syncs(['--snapback', snapback, snapshot.path, lab.copy.path], { engine });
        rollBack();
      },
    );
  }

  scenario('of an applied stream restores the byte-exact former content', (t) => {
    const snapshot = changedSnapshot(t);
    syncs(['--stdout', snapshot.path], { stdoutFile: `${folder}/stream` });
    syncs(['--apply', `${folder}/stream`, '--snapback', snapback, lab.copy.path]);
    rollBack();
  });

  scenario('can be undone itself by a snapback taken while rolling back', (t) => {
    const snapshot = changedSnapshot(t);
    syncs(['--snapback', snapback, snapshot.path, lab.copy.path]);
    saveContent(lab.copy.path, `${folder}/synced`);
    syncs(['--apply', snapback, '--snapback', `${folder}/forward`, lab.copy.path]);
    lab.assertUntouched();
    syncs(['--apply', `${folder}/forward`, lab.copy.path]);
    assertSameContent(lab.copy.path, `${folder}/synced`);
    rmSync(`${folder}/forward`);
    rollBack();
  });

  scenario('chain is undone step by step, newest first', () => {
    const steps = [1, 2, 3].map((step) => {
      const snapshot = changedSnapshot();
      const state = `${folder}/state-${step}`;
      saveContent(lab.copy.path, state);
      syncs(['--snapback', `${state}.snapback`, snapshot.path, lab.copy.path]);
      lab.group.remove(snapshot);
      return state;
    });
    for (const state of steps.reverse()) {
      syncs(['--apply', `${state}.snapback`, lab.copy.path]);
      assertSameContent(lab.copy.path, state);
      rmSync(state);
      rmSync(`${state}.snapback`);
    }
    lab.assertUntouched();
  });

  scenario('is readable by its owner only', (t) => {
    const snapshot = changedSnapshot(t);
    syncs(['--snapback', snapback, snapshot.path, lab.copy.path]);
    assert.equal(statSync(snapback).mode & 0o777, 0o600);
    rollBack();
  });

  scenario('that exists already is refused and kept, and the destination is not touched', (t) => {
    const snapshot = changedSnapshot(t);
    writeFileSync(snapback, 'the only former content of yesterday');
    const result = lvmsync(['--snapback', snapback, snapshot.path, lab.copy.path]);
    assertFails(result, EXIT.snapback, /exists/i);
    assert.equal(statSync(snapback).size, 36);
    lab.assertUntouched();
  });

  scenario('in a folder that does not exist is refused and the destination is not touched', (t) => {
    const snapshot = changedSnapshot(t);
    const result = lvmsync(['--snapback', `${folder}/none/snapback`, snapshot.path, lab.copy.path]);
    assertFails(result, EXIT.snapback, /none\/snapback/);
    lab.assertUntouched();
  });

  scenario(
    'restores the former content after the sync was killed, whenever that was',
    async (t) => {
      const snapshot = changedSnapshot(t);
      let killedHalfway = 0;
      let status: number | null = null;
      for (let milliseconds = 0; status !== 0; milliseconds += 20) {
        const words = [CLI, '-q', '--snapback', snapback, snapshot.path, lab.copy.path];
        const child = spawn(process.execPath, words, { stdio: 'ignore' });
        const ended = once(child, 'exit');
        while (!existsSync(snapback) && child.exitCode === null) await delay(5);
        await Promise.race([ended, delay(milliseconds)]);
        child.kill('SIGKILL');
        [status] = await ended;
        if (status === null) killedHalfway += 1;
        applyBegunSnapback(snapback, lab.copy.path);
        lab.assertUntouched();
        rmSync(snapback);
      }
      assert.ok(killedHalfway > 0, 'some were killed after they had begun to write');
    },
  );

  tests.run(8, lab.random);
});
