/** Which questions are put to the kernel. What it answers: scenarios/device-mapper. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askHost } from '../../../src/lvm/host-tools.js';

test('what is no device-mapper question starts the tool', async () => {
  const { stdout } = await askHost(['echo', 'dmsetup table -- vg-lv']);
  assert.equal(stdout, 'dmsetup table -- vg-lv\n');
});

test('a device that is not there is told by the tool', async () => {
  await assert.rejects(
    askHost(['dmsetup', 'table', '--', 'no-such-device'], { code: 'sourceUnfit' }),
    { code: 'sourceUnfit', message: /^dmsetup: / },
  );
});

test('a signal ends the question', async () => {
  const signal = AbortSignal.abort(new Error('enough'));
  await assert.rejects(askHost(['dmsetup', 'table', '--', 'none'], { signal }), /enough/);
});
