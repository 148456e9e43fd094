/**
 * A sender that is gone while its receiver does not read yet, such as one that waits for a lock of LVM: sshd tells
 * nobody. The receiver is ended as a terminal that is closed would end it, with the commands that it started.
 */

import { native } from '../host/native.js';

const EVERY_MS = 1000;

const STDOUT = 1;

/** Watches what takes the answers: a sender may have sent all, and closed that. Returns what ends the watch. */
export function watchSender(fd = STDOUT, onGone: () => void = hangUp): () => void {
  const timer = setInterval(() => {
    if (!native.isHungUp(fd)) return;
    clearInterval(timer);
    onGone();
  }, EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function hangUp(): void {
  process.kill(process.pid, 'SIGHUP');
}
