import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSeen } from '../../../src/destination/first-look.js';
import { openDestination, tooShort, tooSmall } from '../../../src/destination/open-destination.js';
import { CommandError, type RunCommand } from '../../../src/host/subprocess.js';
import { Reporter } from '../../../src/run/reporter.js';
import { recorded, runOn } from '../../helpers/lvm/lvm-host.js';
import { scratchFolder } from '../../helpers/scratch.js';

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
    message: /another device took this name during the checks/,
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

test('F42: a file of the lower layer of an overlay is copied up before it is checked, not after', async (t) => {
  const base = join(folder, 'overlay');
  const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) =>
    join(base, name),
  );
  assert.ok(lower && upper && work && merged);
  mkdirSync(base);
  if (spawnSync('mount', ['-t', 'tmpfs', 'none', base]).status !== 0) {
    return t.skip('no tmpfs can be mounted here');
  }
  t.after(() => spawnSync('umount', ['-R', base]));
  for (const one of [lower, upper, work, merged]) mkdirSync(one);
  const content = readFileSync(labelledFile('of-lower'));
  writeFileSync(join(lower, 'copy'), content);
  const layers = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  if (spawnSync('mount', ['-t', 'overlay', 'none', '-o', layers, merged]).status !== 0) {
    return t.skip('no overlay can be mounted here');
  }
  const path = join(merged, 'copy');
  let copiedUp = false;
  const reporter = reporterThat(() => {
    copiedUp = existsSync(join(upper, 'copy'));
  });
  await (await openDestination({ ...request, path }, reporter)).close();
  assert.ok(copiedUp, 'when the warning came');
  assert.ok(readFileSync(path).equals(content));
});

const silent = (): Reporter => reporterThat(() => undefined);

test('the receivers of one set open it together; the kernel keeps others off as long as the first lives', async () => {
  const path = join(folder, 'shared');
  writeFileSync(path, Buffer.alloc(4096));
  const member = { ...request, force: false, path, set: 'a'.repeat(32) };
  const opened = [];
  for (let i = 0; i < 3; i++) opened.push(await openDestination(member, silent()));
  assert.equal(takesFlock(path), false);
  const stranger = { ...member, set: 'b'.repeat(32) };
  for (const one of opened.reverse()) {
    await assert.rejects(openDestination(stranger, silent()), { code: 'locked' });
    await one.close();
  }
  assert.equal(takesFlock(path), true);
  await (await openDestination(stranger, silent())).close();
});

test('a set does not share with a program that has claimed the destination before', async () => {
  const path = join(folder, 'claimed');
  writeFileSync(path, Buffer.alloc(4096));
  const holder = spawn('flock', [path, 'sh', '-c', 'echo held; read line'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  const member = { ...request, force: false, path, set: 'a'.repeat(32) };
  await assert.rejects(openDestination(member, silent()), { code: 'locked' });
  holder.stdin.end();
  await once(holder, 'exit');
  await (await openDestination(member, silent())).close();
});

function takesFlock(path: string): boolean {
  return spawnSync('flock', ['-n', path, 'true']).status === 0;
}

for (const [whose, turn, hint] of [
  ['a sync', undefined, /--allow-smaller/],
  ['the first turn of a chain', 'first', /^Enlarge it, then run the same command again\.$/],
  ['a turn of a chain, which takes no --allow-smaller', 'next', /^Enlarge it.* use --force/],
] as const) {
  test(`a device that is too small for ${whose}, is refused with what helps there`, () => {
    const error = tooSmall({ path: '/dev/vg/copy', size: 1024 }, { sourceSize: 2048, turn });
    assert.equal(error.code, 'destinationUnfit');
    assert.match(
      error.message,
      /^\/dev\/vg\/copy: too small: it has 1\.0 KiB \(1024 bytes\), the source 2\.0 KiB \(2048 bytes\)$/,
    );
    assert.match(error.hint ?? '', hint);
    if (turn) assert.doesNotMatch(error.hint ?? '', /allow-smaller/);
  });
}

for (const [whose, turn, hint] of [
  ['a sync', undefined, /^Make a full copy first, with dd from the snapshot: /],
  ['a turn of a chain', 'next', /^Start a new history with --init --force/],
] as const) {
  test(`a file that is too short for ${whose} is refused with how it becomes a copy`, () => {
    const error = tooShort({ path: '/img', size: 1 }, { copySize: 2048, turn });
    assert.match(error.message, /it has 1 byte, the source had 2\.0 KiB \(2048 bytes\)$/);
    assert.match(error.hint ?? '', hint);
  });
}

const LVM = runOn(recorded('thick-inactive'));
const noRight: RunCommand = async (argv) => {
  throw new CommandError({ argv, reason: 'it needs root' });
};
const NEW = /^Check its name: "lvs my-vg" .*"lvcreate --size 4096b --name mail my-vg", then copy/;
const NO_GROUP = /^Its host does not have a volume group no-vg: check the name\./;
const MISSING: readonly [path: string, hint: RegExp, run?: RunCommand][] = [
  ['/dev/my-vg/mail', NEW],
  ['/dev/mapper/my--vg-mail', NEW],
  ['my-vg/mail', NEW],
  ['my-vg/sn-ap', /^Activate it: lvchange -ay -K my-vg\/sn-ap$/],
  ['/dev/no-vg/mail', NO_GROUP],
  ['/dev/mapper/no--vg-mail', NO_GROUP],
  ['no-vg/mail', /^Its host does not have a volume group no-vg, nor such a directory: /],
  [
    'no-vg/mail',
    /inactive volume \("lvchange -ay -K no-vg\/mail"\)\. .*"lvcreate --size 4096b --name mail no-vg"/,
    noRight,
  ],
  ['src/no-copy', /^Check its name\. .*"truncate --size 4096 src\/no-copy", then copy/],
  ['/dev/mapper/no_volume', /^Check its name\.$/],
  ['/dev/mapper/vg-lv-cow', /^Check its name\.$/],
  ['/dev/shm/no-copy', /^Check its name\. .*"truncate --size 4096 \/dev\/shm\/no-copy", then copy/],
  ['/dev/no-disk', /^Check its name\.$/],
  ['/dev/disk/no-disk', /^Check its name\.$/],
  [
    '/nowhere/the copy',
    /^The directory \/nowhere does not exist: check the path\. .*"mkdir -p \/nowhere && truncate --size 4096 '\/nowhere\/the copy'", then copy/,
  ],
];

for (const [path, hint, run = LVM] of MISSING) {
  test(`a destination that is missing is refused with what its name allows: ${path}`, async () => {
    await assert.rejects(openSeen({ path, size: 4096 }, run), { code: 'destinationUnfit', hint });
  });
}

for (const [path, ifMissing, hint] of [
  ['/dev/my-vg/mail', 'find', /^Check its name: "lvs my-vg" lists the volumes\.$/],
  ['/nowhere/copy', 'find', /^The directory \/nowhere does not exist: check the path\.$/],
  ['/no-copy', 'make', /"truncate --size 4096 \/no-copy", then run the same command/],
] as const) {
  test(`nor is a copy advised where it is of no use: ${path}, ${ifMissing}`, async () => {
    const opening = openSeen({ path, size: 4096, ifMissing }, LVM);
    await assert.rejects(opening, { code: 'destinationUnfit', hint });
  });
}
