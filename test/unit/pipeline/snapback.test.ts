import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LvmsyncError } from '../../../src/base/errors.js';
import { identifyPath } from '../../../src/device/topology.js';
import { native } from '../../../src/host/native.js';
import { Snapback, SnapbackRemoved } from '../../../src/pipeline/snapback.js';
import { hintToCreate, requireRoom } from '../../../src/pipeline/snapback-file.js';
import { ChangeReader } from '../../../src/stream/change-reader.js';
import { GROUP_SLAB_SIZE } from '../../../src/stream/change-stream.js';
import { type Extents, extentsOf, joined } from '../../helpers/devices/operations.js';
import { canTrace, runTool } from '../../helpers/program/cli.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { recordsOf } from '../../helpers/streams/stream-parts.js';

const MiB = 1024 * 1024;
const folder = scratchFolder();
let made = 0;

function freshPath(): string {
  return join(folder, `snapback-${made++}`);
}

function create(path: string, overwrite = false): Promise<Snapback> {
  const facts = { deviceSize: 64 * MiB, attributes: {} };
  return Snapback.create({ path, overwrite, facts, sorted: false });
}

function operations(...triples: number[]): Float64Array {
  return Float64Array.from(triples);
}

/** What a reader finds in it: the extents of each group, and whether it names its end. */
async function readBack(path: string): Promise<{ groups: Extents[]; content: Buffer }> {
  const fd = openSync(path, 'r');
  const content = Buffer.alloc(64 * MiB);
  const groups: Extents[] = [];
  try {
    const reader = new ChangeReader(fd, path);
    const form = await reader.readForm();
    reader.begin(form, { deviceSize: content.length, strict: true });
    const slab = native.allocateSlab(GROUP_SLAB_SIZE);
    for (;;) {
      const group = await reader.next(slab);
      if (group === undefined) return { groups, content };
      groups.push(extentsOf(group.operations));
      for (let i = 0; i < group.operations.length; i += 3) {
        const [offset = 0, length = 0, position = 0] = group.operations.subarray(i, i + 3);
        Buffer.from(slab, position, length).copy(content, offset);
      }
    }
  } finally {
    closeSync(fd);
  }
}

test('its beginning can be written anew before anything is saved in it', async () => {
  const path = freshPath();
  const attributes = { devicePath: '/dev/vg/copy', previousLink: 'a'.repeat(32) };
  const facts = { deviceSize: 64 * MiB, attributes };
  const snapback = await Snapback.create({ path, overwrite: false, facts, sorted: false });
  const { streamId } = snapback;
  await snapback.renew({ previousLink: 'b'.repeat(32) });
  const slab = native.allocateSlab(MiB);
  await snapback.save(slab, operations(4096, 4096, 0));
  await snapback.finish();
  const fd = openSync(path, 'r');
  const reader = new ChangeReader(fd, path);
  const form = await reader.readForm();
  await reader.close();
  closeSync(fd);
  assert.ok(form.form === 'framed');
  const { hello } = form;
  assert.deepEqual(hello.attributes, { ...attributes, previousLink: 'b'.repeat(32) });
  assert.equal(Buffer.from(hello.streamId).toString('hex'), streamId);
  assert.deepEqual((await readBack(path)).groups, [[[4096, 4096]]]);
});

test('there must be room for all that several streams save in one place', () => {
  const path = freshPath();
  const { bavail, bsize } = statfsSync(folder);
  const roomFor = Math.floor((bavail * bsize) / 2);
  assert.doesNotThrow(() => requireRoom({ path, overwrite: false, roomFor }));
  assert.throws(
    () => requireRoom({ path, overwrite: false, roomFor, shares: 3 }),
    /not enough room: the 3 of this run need up to/,
  );
});

test('a stretch longer than a record may be is saved so that it can be read back', async () => {
  const path = freshPath();
  const snapback = await create(path);
  const slab = native.allocateSlab(8 * MiB);
  Buffer.from(slab).fill('former content ');
  await snapback.save(slab, operations(4096, 8 * MiB, 0));
  await snapback.finish();
  const { groups, content } = await readBack(path);
  assert.deepEqual(joined(groups.flat()), [[4096, 8 * MiB]]);
  assert.equal(snapback.savedBytes, 8 * MiB);
  assert.ok(content.subarray(4096, 4096 + 8 * MiB).equals(Buffer.from(slab)));
});

test('more pieces than a group may hold are saved so that they can be read back', async () => {
  const path = freshPath();
  const snapback = await create(path);
  const slab = native.allocateSlab(8 * MiB);
  const pieces = Array.from({ length: 2048 }, (_, i) => [i * 8192, 4096, i * 4096]);
  for (const [, , position = 0] of pieces) {
    Buffer.from(slab, position, 4096).fill(`piece at ${position}`);
  }
  await snapback.save(slab, operations(...pieces.flat()));
  await snapback.finish();
  const { groups, content } = await readBack(path);
  assert.deepEqual(
    groups.flat(),
    pieces.map(([offset, length]) => [offset, length]),
  );
  for (const [offset = 0, length = 0, position = 0] of pieces) {
    assert.ok(
      content.subarray(offset, offset + length).equals(Buffer.from(slab, position, length)),
    );
  }
});

test('it begins with handshake and HELLO, durable before anything is saved', async () => {
  const path = freshPath();
  const snapback = await create(path);
  const stream = readFileSync(path);
  assert.equal(stream.toString('latin1', 0, 17), 'lvmsync PROTO[3]\n');
  const [first] = recordsOf(stream);
  assert.deepEqual([first?.offset, first?.data.length], [0x4c56, 0]);
  snapback.close();
});

test('it is readable by its owner only, whatever the umask', async () => {
  const path = freshPath();
  const before = process.umask(0);
  try {
    const snapback = await create(path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    snapback.close();
  } finally {
    process.umask(before);
  }
});

test('one that was made in vain is removed, and no other', async () => {
  const unused = freshPath();
  (await create(unused)).close();
  assert.ok(!existsSync(unused));
  const used = await create(freshPath());
  await used.save(native.allocateSlab(4096), operations(0, 4096, 0));
  used.close();
  assert.ok(existsSync(used.path));
  const replaced = freshPath();
  writeFileSync(replaced, 'lvmsync PROTO[3]\n');
  (await create(replaced, true)).close();
  assert.ok(existsSync(replaced));
});

test('a file that is replaced becomes readable by its owner only', async () => {
  const path = freshPath();
  writeFileSync(path, 'lvmsync PROTO[3]'.repeat(1000), { mode: 0o644 });
  const snapback = await create(path, true);
  await snapback.finish();
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual((await readBack(path)).groups, []);
});

interface Refusal {
  readonly what: string;
  readonly make: (path: string) => void;
  readonly overwrite?: true;
  readonly message: RegExp;
}

const refusals: Refusal[] = [
  { what: 'an existing file', make: (path) => writeFileSync(path, 'precious'), message: /exists/ },
  { what: 'a directory', make: (path) => mkdirSync(path), message: /this is a directory/ },
  {
    what: 'a symbolic link to a file',
    make: (path) => {
      writeFileSync(`${path}.target`, 'precious');
      symlinkSync(`${path}.target`, path);
    },
    message: /this is a symbolic link/,
  },
  {
    what: 'a symbolic link that leads nowhere',
    make: (path) => symlinkSync('/nowhere/at/all', path),
    message: /this is a symbolic link/,
  },
  {
    what: 'a symbolic link that is to be replaced',
    make: (path) => {
      writeFileSync(`${path}.target`, 'precious');
      symlinkSync(`${path}.target`, path);
    },
    overwrite: true,
    message: /ELOOP/,
  },
  {
    what: 'a directory that is to be replaced',
    make: (path) => mkdirSync(path),
    overwrite: true,
    message: /this is a directory/,
  },
];

for (const { what, make, overwrite = false, message } of refusals) {
  test(`${what} is refused and left alone`, async () => {
    const path = freshPath();
    make(path);
    await assert.rejects(create(path, overwrite), (error) => {
      assert.ok(error instanceof LvmsyncError);
      assert.equal(error.exitStatus, 16);
      assert.match(error.message, message);
      return true;
    });
    const kept = lstatSync(path).isSymbolicLink() ? `${path}.target` : path;
    if (existsSync(kept) && statSync(kept).isFile()) {
      assert.equal(readFileSync(kept, 'utf8'), 'precious');
    }
  });
}

test('a name in /dev is refused, where it would be gone after a restart, but not one in /dev/shm', async () => {
  const path = '/dev/lvmsync-test-snapback';
  await assert.rejects(create(path), /\/dev is in memory, so the file would be lost at a restart/);
  assert.ok(!existsSync(path));
  const shared = '/dev/shm/lvmsync-test-snapback';
  rmSync(shared, { force: true });
  const snapback = await create(shared);
  await snapback.finish();
  rmSync(shared);
});

test('a refusal proposes another name', async () => {
  const path = freshPath();
  writeFileSync(path, '');
  await assert.rejects(create(path), (error) => {
    assert.ok(error instanceof LvmsyncError);
    assert.match(error.hint ?? '', new RegExp(`${path}\\.\\d{8}T\\d{6}Z`));
    return true;
  });
});

test('the name that a refusal proposes can be typed, and is that of the whole run', async () => {
  const base = join(folder, "the admin's undo");
  writeFileSync(`${base}.2-of-4`, '');
  await assert.rejects(create(`${base}.2-of-4`), (error) => {
    assert.ok(error instanceof LvmsyncError);
    const [, typed = ''] = /--snapback (.*Z'?)\. To destroy/.exec(error.hint ?? '') ?? [];
    const { stdout } = runTool(['sh', '-c', `printf %s ${typed}`]);
    assert.match(`${stdout}`, /\/the admin's undo\.\d{8}T\d{6}Z$/);
    return true;
  });
});

test('a refusal to make it helps with the reason', async () => {
  const file = freshPath();
  writeFileSync(file, '');
  const elsewhere = /^Name a new file in a directory where you can create one\.$/;
  const rows: readonly [path: string, code: RegExp, hint: RegExp][] = [
    [join(folder, 'no/folder'), /ENOENT/, /^There is no directory .*\/no: create it, or/],
    [join(file, 'below'), /ENOTDIR/, elsewhere],
    [join(folder, 'n'.repeat(300)), /ENAMETOOLONG/, elsewhere],
  ];
  for (const [path, message, hint] of rows) {
    await assert.rejects(create(path), { code: 'snapback', message, hint });
  }
  assert.match(hintToCreate(file, 'ENOSPC'), /^Make room there, or name a file on another/);
  assert.match(hintToCreate(file, 'EROFS'), elsewhere);
});

test('one that was removed meanwhile is a failure of its own', async () => {
  const path = freshPath();
  const snapback = await create(path);
  await snapback.save(native.allocateSlab(4096), operations(0, 4096, 0));
  rmSync(path);
  await assert.rejects(snapback.finish(), (error) => {
    assert.ok(error instanceof SnapbackRemoved);
    assert.equal(error.exitStatus, 16);
    return true;
  });
});

test('a file that belongs to the run is not replaced, by whatever name it is called', async () => {
  const path = freshPath();
  writeFileSync(path, 'the only copy');
  const other = freshPath();
  linkSync(path, other);
  const identity = identifyPath(path);
  const facts = { deviceSize: MiB, attributes: {} };
  const inUse = [{ role: 'the destination', identity }];
  const options = { path: other, overwrite: true, facts, sorted: false, inUse };
  await assert.rejects(Snapback.create(options), (error) => {
    assert.ok(error instanceof LvmsyncError);
    assert.equal(error.exitStatus, 16);
    assert.match(error.message, /this is the destination/);
    return true;
  });
  assert.equal(readFileSync(path, 'utf8'), 'the only copy');
});

test('only a file of lvmsync is replaced, whole or cut off', async () => {
  const image = freshPath();
  writeFileSync(image, 'the image of a disk, whose name was mistyped');
  await assert.rejects(create(image, true), (error) => {
    assert.ok(error instanceof LvmsyncError);
    assert.equal(error.exitStatus, 16);
    assert.match(error.message, /this is not an uncompressed file of lvmsync/);
    return true;
  });
  assert.equal(readFileSync(image, 'utf8'), 'the image of a disk, whose name was mistyped');
  for (const content of ['', 'lvmsync PR', 'lvmsync PROTO[3]\nmore']) {
    const older = freshPath();
    writeFileSync(older, content);
    const snapback = await create(older, true);
    await snapback.save(native.allocateSlab(4096), operations(0, 4096, 0));
    await snapback.finish();
    assert.ok(readFileSync(older).length > 4096, JSON.stringify(content));
  }
});

test('/dev/null is accepted', async () => {
  const snapback = await create('/dev/null');
  await snapback.save(native.allocateSlab(4096), operations(0, 4096, 0));
  await snapback.finish();
  assert.equal(snapback.savedBytes, 4096);
});

test('a fifo is accepted, and its reader gets the whole snapback', async () => {
  const path = freshPath();
  runTool(['mkfifo', path]);
  const { spawn } = await import('node:child_process');
  const copy = `${path}.copy`;
  // The first reader; the one that copies waits in its open for a writer.
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const cat = spawn('sh', ['-c', 'exec 3<"$0"; echo open; cat <&3 > "$1"', path, copy]);
  const done = new Promise((resolve) => cat.once('close', resolve));
  const open = new Promise((resolve) => cat.stdout.once('data', resolve));
  const snapback = await create(path);
  await open;
  closeSync(reader);
  await snapback.save(native.allocateSlab(4096), operations(8192, 4096, 0));
  await snapback.finish();
  await done;
  assert.deepEqual((await readBack(copy)).groups, [[[8192, 4096]]]);
});

test('each byte is saved once, with the content it had first', async () => {
  const path = freshPath();
  const snapback = await create(path);
  const slab = native.allocateSlab(3 * 4096);
  Buffer.from(slab).fill('1');
  await snapback.save(slab, operations(0, 8192, 0));
  Buffer.from(slab).fill('2');
  await snapback.save(slab, operations(4096, 8192, 0));
  await snapback.save(slab, operations(0, 12288, 0));
  await snapback.finish();
  const { groups, content } = await readBack(path);
  assert.deepEqual(groups, [[[0, 8192]], [[8192, 4096]]]);
  assert.equal(content.toString('latin1', 0, 12288), '1'.repeat(8192) + '2'.repeat(4096));
});

test('one flush serves all groups that wait for it', (context) => {
  const path = freshPath();
  const trace = `${path}.strace`;
  const script = fileURLToPath(new URL('../../helpers/streams/save-at-once.js', import.meta.url));
  // With slow flushes everything else waits for the second one.
  const slow = ['-e', 'trace=fdatasync', '-e', 'inject=fdatasync:delay_enter=300000'];
  const argv = ['strace', '-f', ...slow, '-o', trace, process.execPath, script, path, '40'];
  if (!canTrace()) return context.skip('strace is not permitted here');
  const { status, stderr } = runTool(argv);
  assert.equal(status, 0, stderr);
  const calls = readFileSync(trace, 'utf8').match(/fdatasync\(/g) ?? [];
  // Of the HELLO, of the first group, of the others, of END; one more for a group that came late.
  assert.ok(calls.length >= 3 && calls.length <= 6, `${calls.length} flushes for 40 groups`);
});

test('after a failed write every later save fails, and so does the end', async () => {
  const snapback = await create(freshPath());
  const slab = native.allocateSlab(4096);
  // Beyond the slab: the addon refuses it.
  await assert.rejects(snapback.save(slab, operations(0, 8192, 0)), LvmsyncError);
  await assert.rejects(snapback.save(slab, operations(65536, 4096, 0)), (error) => {
    assert.ok(error instanceof LvmsyncError);
    assert.equal(error.exitStatus, 16);
    return true;
  });
  await assert.rejects(snapback.finish(), LvmsyncError);
});

test('on a full disk it cannot be made', async () => {
  await assert.rejects(create('/dev/full'), (error) => {
    assert.ok(error instanceof LvmsyncError);
    assert.equal(error.exitStatus, 16);
    assert.match(error.message, /ENOSPC/);
    return true;
  });
});
