import assert from 'node:assert/strict';
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ownIdentity } from '../../../src/host/process-identity.js';
import { acquireRunLock, type RunLock } from '../../../src/host/run-lock.js';
import { readLink } from '../../../src/host/virtual-files.js';
import type { ContenderOrder } from '../../helpers/program/lock-contender.js';
import { IN_NAMESPACE, noNamespace } from '../../helpers/program/pid-namespace.js';

const root = mkdtempSync(join(tmpdir(), 'run-lock-'));
after(() => rmSync(root, { recursive: true }));
const skip = noNamespace();
const children = new Set<ChildProcess>();
afterEach(async () => {
  for (const child of children) await kill(child);
});

const disk = 'block-254:3';
const file = (inode: string): string => `file-8:1/${inode}`;

let directories = 0;
function emptyDirectory(): string {
  directories += 1;
  const directory = join(root, `locks-${directories}`);
  mkdirSync(directory);
  return directory;
}

const acquire = (directory: string, device: string, command = 'lvmsync a b') =>
  acquireRunLock(device, { path: '/dev/vg/dest', command, directory });

const script = fileURLToPath(new URL('../../helpers/program/lock-contender.js', import.meta.url));

async function startContender(
  directory: string,
  before: readonly string[] = [],
): Promise<ChildProcess> {
  const [execPath = '', ...execArgv] = [...before, process.execPath];
  const child = fork(script, [directory], { execPath, execArgv });
  children.add(child);
  await once(child, 'spawn');
  return child;
}

async function tell(child: ChildProcess, order: ContenderOrder): Promise<unknown> {
  const answer = once(child, 'message');
  child.send(order);
  const [text] = await answer;
  return text;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  children.delete(child);
}

test('a held lock refuses a second run, naming process and command, until it is released', async () => {
  const directory = emptyDirectory();
  const lock = await acquire(directory, disk, 'lvmsync --apply - /dev/vg/dest');
  await assert.rejects(acquire(directory, disk), {
    code: 'locked',
    exitStatus: 19,
    message:
      '/dev/vg/dest: another lvmsync is at work on it ' +
      `(process ${process.pid}: lvmsync --apply - /dev/vg/dest)`,
  });
  lock.release();
  lock.release();
  assert.deepEqual(readdirSync(directory), []);
  (await acquire(directory, disk)).release();
});

test('locks of different devices and files do not meet', async () => {
  const directory = emptyDirectory();
  const devices = [disk, 'block-25:43', file('1'), file('11')];
  const locks: RunLock[] = [];
  for (const device of devices) locks.push(await acquire(directory, device));
  assert.equal(readdirSync(directory).length, devices.length);
  for (const lock of locks) lock.release();
});

test('a lock file is private, and a refused run leaves none behind', async () => {
  const directory = emptyDirectory();
  const lock = await acquire(directory, disk);
  await assert.rejects(acquire(directory, disk));
  const names = readdirSync(directory);
  assert.equal(names.length, 1);
  assert.equal(statSync(join(directory, names[0]!)).mode & 0o777, 0o600);
  lock.release();
});

const owners: [string, boolean, Partial<Record<string, unknown>>][] = [
  ['of a running process', true, {}],
  ['of a process that is gone', false, { pid: 2 ** 22 + 1 }],
  ['whose pid was given out again', false, { startTime: '1' }],
  ['of another boot', false, { bootId: '00000000-0000-0000-0000-000000000000' }],
  ['of another pid namespace', true, { pidNamespace: 'pid:[1]', pid: 2 ** 22 + 1 }],
  ['without its fields', true, { pid: undefined }],
  ['F10: without the lock of the kernel that it tells of', false, { kernelLock: true }],
  ['F10: of a killed container', false, { kernelLock: true, pidNamespace: 'pid:[1]' }],
];

for (const [whose, holds, change] of owners) {
  test(`a lock file ${whose} ${holds ? 'holds' : 'is removed'}`, async () => {
    const directory = emptyDirectory();
    const owner = { ...ownIdentity(), command: 'lvmsync x y', ...change };
    const name = 'block-254-3.00000000-0000-4000-8000-000000000000.lock';
    writeFileSync(join(directory, name), `${JSON.stringify(owner)}\nheld\n`);
    if (holds) {
      await assert.rejects(acquire(directory, disk), { code: 'locked' });
      assert.deepEqual(readdirSync(directory), [name]);
    } else {
      const lock = await acquire(directory, disk);
      assert.ok(!readdirSync(directory).includes(name));
      lock.release();
    }
  });
}

test('a lock file that is not one holds, and the refusal names it', async () => {
  const directory = emptyDirectory();
  const path = join(directory, 'block-254-3.note.lock');
  writeFileSync(path, 'do not touch\n');
  await assert.rejects(acquire(directory, disk), (error: Error & { code?: unknown }) => {
    assert.equal(error.code, 'locked');
    assert.ok(error.message.endsWith(`${path} cannot be read, or is of another version`));
    return true;
  });
});

test('a lock directory that is not there is a failure, not a lock', async () => {
  await assert.rejects(acquire(join(root, 'missing'), disk), { code: 'usage', exitStatus: 1 });
});

test('a lock file is never seen half-written', async () => {
  const directory = emptyDirectory();
  const contender = await startContender(directory);
  const done = tell(contender, { kind: 'storm', inode: '7', folder: emptyDirectory(), rounds: 60 });
  let over = false;
  done.then(() => {
    over = true;
  });
  let seen = 0;
  while (!over) {
    for (const name of readdirSync(directory).filter((one) => one.endsWith('.lock'))) {
      const [record] = tryRead(join(directory, name)).split('\n');
      if (record === '') continue;
      assert.equal(JSON.parse(record!).pid, contender.pid);
      seen += 1;
    }
    await new Promise(setImmediate);
  }
  assert.equal(await done, 'storm-over');
  assert.ok(seen > 0);
});

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

test('the lock of a killed process is free at once', async () => {
  const directory = emptyDirectory();
  const contender = await startContender(directory);
  assert.equal(await tell(contender, { kind: 'acquire', inode: '7' }), 'held');
  await assert.rejects(acquire(directory, file('7')), {
    message: new RegExp(`process ${contender.pid}: contender`),
  });
  await kill(contender);
  (await acquire(directory, file('7'))).release();
  assert.deepEqual(readdirSync(directory), []);
});

test('F10: the lock of a process that is killed in a container is free, too', {
  skip,
}, async () => {
  const directory = emptyDirectory();
  const contender = await startContender(directory, IN_NAMESPACE);
  assert.equal(await tell(contender, { kind: 'acquire', inode: '7' }), 'held');
  await assert.rejects(acquire(directory, file('7')), {
    message: /\(process \d+ in another container: contender\)/,
    hint: 'Wait until that run has ended.',
  });
  await kill(contender);
  (await onceFree(directory, file('7'))).release();
  assert.deepEqual(readdirSync(directory), []);
});

/** What is killed with a container may take a moment to end. */
async function onceFree(directory: string, device: string): Promise<RunLock> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await acquire(directory, device);
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

test('F10: a lock file of an older version in another container is named, to be removed', async () => {
  const directory = emptyDirectory();
  const path = join(directory, 'block-254-3.00000000-0000-4000-8000-000000000000.lock');
  const owner = { ...ownIdentity(), command: 'lvmsync x y', pidNamespace: 'pid:[1]' };
  writeFileSync(path, `${JSON.stringify(owner)}\nheld\n`);
  await assert.rejects(acquire(directory, disk), {
    code: 'locked',
    message: new RegExp(`in another container: lvmsync x y, lock file ${path}\\)$`),
    hint: /Once it has ended, remove that file/,
  });
});

test('F10: a child inherits no lock', async () => {
  const directory = emptyDirectory();
  const lock = await acquire(directory, disk);
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  children.add(child);
  await once(child, 'spawn');
  const descriptors = readdirSync(`/proc/${child.pid}/fd`);
  // It may be opening and closing files of its own.
  const open = descriptors.flatMap((fd) => {
    const path = readLink(`/proc/${child.pid}/fd/${fd}`);
    return path === undefined ? [] : [path];
  });
  assert.deepEqual(
    open.filter((path) => path.startsWith(directory)),
    [],
  );
  lock.release();
});

test('of many that ask at once, over the remains of dead runs, exactly one gets the lock', async () => {
  const directory = emptyDirectory();
  const contenders = await Promise.all(Array.from({ length: 6 }, () => startContender(directory)));
  const dead = { ...ownIdentity(), startTime: '1', command: 'lvmsync dead' };
  for (let round = 0; round < 25; round += 1) {
    const inode = String(round);
    for (const stale of ['0', '8', 'f']) {
      const path = join(directory, `file-8-1-${inode}.${stale}.lock`);
      writeFileSync(path, `${JSON.stringify(dead)}\nheld\n`);
    }
    const orders = contenders.map((child) => tell(child, { kind: 'acquire', inode }));
    const answers = (await Promise.all(orders)).sort();
    assert.deepEqual(answers, ['held', ...Array(5).fill('locked')], `round ${round}`);
    await Promise.all(contenders.map((child) => tell(child, { kind: 'release' })));
    assert.deepEqual(readdirSync(directory), []);
  }
});

test('processes that take, release and are killed in turn are never two at once', async () => {
  const directory = emptyDirectory();
  const folder = emptyDirectory();
  const order = { kind: 'storm', inode: '7', folder, rounds: 25 } as const;
  const contenders = await Promise.all(Array.from({ length: 5 }, () => startContender(directory)));
  const storms = contenders.map((child) => tell(child, order));
  for (let killed = 0; killed < 8; killed += 1) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    const victim = await startContender(directory);
    victim.send({ ...order, rounds: 1e9 });
    await new Promise((resolve) => setTimeout(resolve, 60 + killed * 10));
    await kill(victim);
  }
  assert.deepEqual(await Promise.all(storms), Array(5).fill('storm-over'));
});

const SET = 'a'.repeat(32);
const joinSet = (directory: string, set = SET) =>
  acquireRunLock(disk, { path: '/dev/vg/dest', command: 'lvmsync --apply - x', set, directory });

test('the runs of one set hold the lock together, against all others, until the last lets go', async () => {
  const directory = emptyDirectory();
  const members = [await joinSet(directory), await joinSet(directory), await joinSet(directory)];
  for (const member of members) {
    await assert.rejects(acquire(directory, disk), { code: 'locked' });
    await assert.rejects(joinSet(directory, 'b'.repeat(32)), { code: 'locked' });
    member.release();
  }
  (await acquire(directory, disk)).release();
  assert.deepEqual(readdirSync(directory), []);
});

test('a run that is alone, or of another set, is not let in by a name that was left empty', async () => {
  const directory = emptyDirectory();
  const lock = await acquire(directory, disk);
  await assert.rejects(joinSet(directory), { code: 'locked' });
  await assert.rejects(joinSet(directory, ''), { code: 'locked' });
  assert.deepEqual(lock.siblings(), []);
  lock.release();
});

test('a set is told which of its runs hold the lock, and which has the claim of the kernel', async () => {
  const directory = emptyDirectory();
  const [one, other] = [await joinSet(directory), await joinSet(directory)];
  const fellow = { pid: process.pid, hasKernelClaim: false };
  assert.deepEqual(other.siblings(), [fellow]);
  one.noteKernelClaim();
  assert.deepEqual(other.siblings(), [{ ...fellow, hasKernelClaim: true }]);
  assert.deepEqual(one.siblings(), [fellow]);
  one.release();
  assert.deepEqual(other.siblings(), []);
  other.release();
});

test('a run of a set that was killed holds nothing', async () => {
  const directory = emptyDirectory();
  const dead = { ...ownIdentity(), startTime: '1', command: 'lvmsync --apply - x', set: SET };
  const name = 'block-254-3.00000000-0000-4000-8000-000000000000.lock';
  writeFileSync(join(directory, name), `${JSON.stringify(dead)}\nheld\nkernel\n`);
  const lock = await joinSet(directory);
  assert.deepEqual(lock.siblings(), []);
  lock.release();
  assert.deepEqual(readdirSync(directory), []);
});

test('of two sets that ask at once never both get the lock', async () => {
  for (let round = 0; round < 10; round++) {
    const directory = emptyDirectory();
    const sets = Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? 'a' : 'b').repeat(32));
    const asked = await Promise.allSettled(sets.map((set) => joinSet(directory, set)));
    const holders = new Set(sets.filter((_, i) => asked[i]?.status === 'fulfilled'));
    assert.ok(holders.size <= 1, `round ${round}: ${[...holders]}`);
    for (const one of asked) if (one.status === 'fulfilled') one.value.release();
    assert.deepEqual(readdirSync(directory), []);
  }
});
