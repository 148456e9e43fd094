import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withDevices } from '../../../src/device/open-devices.js';
import { native } from '../../../src/host/native.js';
import { Reporter } from '../../../src/run/reporter.js';
import { scratchFolder } from '../../helpers/scratch.js';

native.selectEngine('auto');
const reporter = new Reporter({ verbosity: 'quiet', write: () => undefined, isTTY: false });
const path = join(scratchFolder(), 'volume');
writeFileSync(path, Buffer.alloc(4096));

test('F46: another device by the name of the one that was looked up is refused', async () => {
  const number = await withDevices(reporter, async (opened) => {
    const { identity } = await opened.open(path, 'source');
    await opened.open(path, 'source', identity.device);
    await opened.close();
    return identity.device;
  });
  const wrong = withDevices(reporter, (opened) => opened.open(path, 'source', `${number}1`));
  await assert.rejects(wrong, {
    exitStatus: 10,
    message: `${path}: another device now has this name`,
  });
});
