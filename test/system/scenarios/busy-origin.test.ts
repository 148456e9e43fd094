import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { someOf } from '../../helpers/faults/campaign.js';
import { ENGINES, syncs } from '../../helpers/program/cli.js';
import { withThickCopy } from '../harness/copies.js';
import { exceptionCount, MiB } from '../harness/lvm.js';

describe('an origin that is written while the run goes on', () => {
  const lab = withThickCopy({ size: 48 * MiB });

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

  for (const engine of someOf(ENGINES, 1, lab.random)) {
    test(`the run succeeds, and another one when all is quiet makes the copy equal (${engine})`, async (t) => {
      const snapshot = lab.createSnapshot({ until: t });
      lab.change(2000);
      const busy = spawn(process.execPath, ['-e', writer, lab.origin.path, `${lab.origin.size}`], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const stopped = once(busy, 'exit');
      const changed = () => exceptionCount(snapshot, lab.chunkSize);
      const quiet = changed();
      while (changed() < quiet + 10) assert.equal(busy.exitCode, null);

      for (let run = 0; run < 3; run++) syncs([snapshot.path, lab.copy.path], { engine });

      assert.equal(busy.exitCode, null, 'the writer wrote all the time');
      busy.kill();
      await stopped;
      syncs([snapshot.path, lab.copy.path], { engine });
      lab.assertEqual();
    });
  }
});
