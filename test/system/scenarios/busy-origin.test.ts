import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { ENGINES, syncs } from '../../helpers/cli.js';
import { Random } from '../../helpers/random.js';
import {
  assertSameContent,
  fillRandom,
  saveContent,
  scattered,
  writeRandom,
} from '../harness/content.js';
import { exceptionCount, KiB, type LogicalVolume, MiB, TestVolumeGroup } from '../harness/lvm.js';

describe('an origin that is written while the run goes on', () => {
  const random = new Random();
  const chunkSize = 4 * KiB;
  let group: TestVolumeGroup;
  let origin: LogicalVolume;
  let copy: LogicalVolume;

  before(() => {
    group = new TestVolumeGroup({ size: 300 * MiB });
    origin = group.createVolume('data', 48 * MiB);
    copy = group.createVolume('copy', 48 * MiB);
    fillRandom(origin.path, random, origin.size);
    saveContent(origin.path, copy.path);
  });
  after(() => group.destroy());

  // Writes a random chunk every few milliseconds until it is killed.
  const writer = `
    const fs = require('node:fs');
    const crypto = require('node:crypto');
    const [, device, size] = process.argv;
    const descriptor = fs.openSync(device, 'r+');
    setInterval(() => {
      const chunk = crypto.randomInt(Number(size) / 4096);
      fs.writeSync(descriptor, crypto.randomBytes(4096), 0, 4096, chunk * 4096);
      fs.fsyncSync(descriptor);
    }, 2);`;

  for (const engine of ENGINES) {
    test(`the run succeeds, and another one when all is quiet makes the copy equal (${engine})`, async (t) => {
      const snapshot = group.createSnapshot(origin, { chunkSize, until: t });
      const plan = { count: 2000, length: chunkSize };
      writeRandom(origin.path, random, scattered(random, origin.size, plan));
      const busy = spawn(process.execPath, ['-e', writer, origin.path, `${origin.size}`], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const stopped = once(busy, 'exit');
      const quiet = exceptionCount(snapshot, chunkSize);
      while (exceptionCount(snapshot, chunkSize) < quiet + 10) assert.equal(busy.exitCode, null);

      for (let run = 0; run < 3; run++) syncs([snapshot.path, copy.path], { engine });

      assert.equal(busy.exitCode, null, 'the writer wrote all the time');
      busy.kill();
      await stopped;
      syncs([snapshot.path, copy.path], { engine });
      assertSameContent(origin.path, copy.path);
    });
  }
});
