// T15: the list of changes read, again and again, while the kernel writes it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FileDevice } from '../../../src/device/block-device.js';
import { native } from '../../../src/host/native.js';
import { findSnapshot } from '../../../src/lvm/find-volume.js';
import type { ThickSnapshot } from '../../../src/lvm/thick-snapshot.js';
import { readThickChanges } from '../../../src/source/thick-changes.js';
import { Campaign, campaignSize } from '../../helpers/faults/campaign.js';
import { ENGINES, syncs } from '../../helpers/program/cli.js';
import { withThickCopy } from '../harness/copies.js';
import { KiB, MiB } from '../harness/lvm.js';

const WRITER = fileURLToPath(new URL('../harness/chunk-writer.js', import.meta.url));
const CHUNK = 4 * KiB;
const SIZE = 48 * MiB;
const READINGS_EACH = 50;

describe('a change list that is read while it grows', () => {
  const lab = withThickCopy({ size: SIZE, chunkSize: CHUNK });
  const journal = `${lab.folder}/journal`;

  /** Starts a writer that writes each chunk once; returns what ends it. */
  async function startWriter(): Promise<() => Promise<void>> {
    writeFileSync(journal, '');
    const words = [WRITER, lab.origin.path, `${SIZE / CHUNK}`, `${CHUNK}`, journal];
    const writer = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] });
    const ended = once(writer, 'exit');
    while (written('end').size === 0) {
      assert.equal(writer.exitCode, null, 'the writer writes');
      await sleep(10);
    }
    return async () => {
      assert.equal(writer.exitCode, null, 'the writer wrote all the time');
      writer.kill();
      await ended;
    };
  }

  function written(word: 'begin' | 'end'): Set<number> {
    const lines = readFileSync(journal, 'latin1').matchAll(new RegExp(`^${word} (\\d+)\n`, 'gm'));
    return new Set(Array.from(lines, ([, chunk]) => Number(chunk)));
  }

  /** One reading: all chunks that were on the device before it, and none that nobody wrote. */
  async function readOnce(
    snapshot: ThickSnapshot,
    devices: { readonly origin: FileDevice; readonly cowStore: FileDevice },
  ): Promise<void> {
    const before = written('end');
    const { extents } = await readThickChanges(snapshot, devices);
    const listed = new Set<number>();
    for (let i = 0; i < extents.pairs.length; i += 2) {
      const [offset = 0, length = 0] = extents.pairs.slice(i, i + 2);
      for (let at = offset; at < offset + length; at += CHUNK) listed.add(at / CHUNK);
    }
    const after = written('begin');
    const missed = [...before].filter((chunk) => !listed.has(chunk));
    const invented = [...listed].filter((chunk) => !after.has(chunk));
    assert.deepEqual({ missed, invented }, { missed: [], invented: [] });
  }

  test('names every chunk written before, and no other; the runs after that lose none', async (t) => {
    const campaign = new Campaign(t, 'T15 change list read while it grows', lab.random.seed);
    const readings = campaignSize({ commit: 2 * READINGS_EACH, release: 5000 });
    for (let round = 0; campaign.cases < readings; round++) {
      const engine = ENGINES[round % ENGINES.length] ?? 'threads';
      native.selectEngine(engine);
      const volume = lab.createSnapshot();
      const snapshot = await findSnapshot(volume.path);
      assert.equal(snapshot.kind, 'thick');
      const devices = {
        origin: await FileDevice.open(lab.origin.path, { role: 'source' }),
        cowStore: await FileDevice.open(`${volume.path}-cow`, { role: 'cowStore' }),
      };
      const stopWriter = await startWriter();
      try {
        for (let i = 0; i < READINGS_EACH; i++) {
          await campaign.run(`reading ${i} through ${engine}`, () => readOnce(snapshot, devices));
        }
        syncs([volume.path, lab.copy.path], { engine });
      } finally {
        await stopWriter();
        for (const device of Object.values(devices)) await device.close();
      }
      await campaign.run(`the run after round ${round}`, () => {
        syncs([volume.path, lab.copy.path], { engine });
        lab.assertEqual();
      });
      lab.group.remove(volume);
    }
    campaign.finish(readings);
  });
});
