import assert from 'node:assert/strict';
import { readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDestination } from '../../src/destination.js';
import { Reporter } from '../../src/reporter.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();

/** A file that is warned of under --force: it begins as a physical volume of LVM does. */
function labelledFile(name: string): string {
  const path = join(folder, name);
  const head = Buffer.alloc(1024 * 1024);
  head.write('LABELONE', 512);
  head.writeUInt32LE(32, 512 + 20);
  head.write('LVM2 001', 512 + 24);
  writeFileSync(path, head);
  return path;
}

/** Calls back when a warning is shown, which is after all checks and before it is opened for writing. */
function reporterThat(onWarning: () => void): Reporter {
  return new Reporter({ verbosity: 'normal', isTTY: false, write: onWarning });
}

const request = { force: true, members: [], command: 'lvmsync' } as const;

test('a path that leads elsewhere once it has been checked is refused', async () => {
  const [checked, other] = [labelledFile('checked'), labelledFile('other')];
  const path = join(folder, 'path');
  symlinkSync(checked, path);
  let warnings = 0;
  const swap = (): void => {
    if (warnings++ > 0) return;
    symlinkSync(other, `${path}.new`);
    renameSync(`${path}.new`, path);
  };
  const content = readFileSync(other);
  await assert.rejects(openDestination({ ...request, path }, reporterThat(swap)), {
    code: 'destinationUnfit',
    message: /became another device while it was being checked/,
  });
  assert.equal(warnings, 1);
  assert.ok(readFileSync(other).equals(content));
  // Neither of the two is left locked.
  for (const one of [checked, other]) {
    const free = await openDestination(
      { ...request, path: one },
      reporterThat(() => undefined),
    );
    await free.close();
  }
});

test('what is opened is what was checked, also through a symbolic link', async () => {
  const path = join(folder, 'link');
  symlinkSync(labelledFile('target'), path);
  const opened = await openDestination(
    { ...request, path },
    reporterThat(() => undefined),
  );
  assert.equal(opened.device.size, 1024 * 1024);
  await opened.close();
});
