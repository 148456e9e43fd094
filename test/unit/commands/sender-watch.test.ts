import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchSender } from '../../../src/commands/sender-watch.js';
import { native } from '../../../src/host/native.js';

test('F12: a sender that is gone is noticed, once, and only while it is waited for', async () => {
  const { readFd, writeFd } = native.makePipe('ours');
  let gone = 0;
  const count = (): void => {
    gone++;
  };
  watchSender(writeFd, count);
  const end = watchSender(writeFd, count);
  await sleep(1500);
  assert.equal(gone, 0, 'it is there');
  end();
  closeSync(readFd);
  await sleep(2500);
  assert.equal(gone, 1);
  closeSync(writeFd);
});
