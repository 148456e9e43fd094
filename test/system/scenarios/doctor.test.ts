// What examines and rehearses, on real LVM and over a real ssh: it says what a run would, and changes
// nothing.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { CLI, type Ending, engineSetting, lvmsync, runTool } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import {
  assertSameContent,
  fillRandom,
  saveContent,
  scattered,
  writeRandom,
} from '../harness/content.js';
import { withThickCopy } from '../harness/copies.js';
import { KiB, type LogicalVolume, MiB } from '../harness/lvm.js';
import { HOST, SshServer } from '../harness/sshd.js';
import { TestThinPool, useOwnStateFolder } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

const random = new Random();
const folder = scratchFolder();
const size = 16 * MiB;

/** What it prints is the answer here: text, not a stream. */
function answers(words: readonly string[]): Ending & { readonly stdout: string } {
  const result = lvmsync(words);
  return { ...result, stdout: `${result.stdout}` };
}

function fatalOf({ stderr }: Ending): string[] {
  return stderr.split('\n').filter((line) => line.startsWith('FATAL ERROR: '));
}

/** Everything that LVM and the kernel know of volumes. */
function stateOfVolumes(): string {
  const columns = 'lv_uuid,lv_name,lv_size,lv_attr,lv_tags,seg_start_pe';
  return [
    tool('lvs', '-a', '--noheadings', '-o', columns),
    tool('vgs', '--noheadings', '-o', 'vg_uuid,vg_seqno'),
    tool('dmsetup', 'table'),
  ].join('\n');
}

describe('the doctor and a dry run', { skip: SshServer.missing() ?? false }, () => {
  let server: SshServer;
  const lab = withThickCopy({ random, changes: 300 });
  let pool: TestThinPool;
  let small: LogicalVolume;
  let thinSnapshot: LogicalVolume;
  let thinOrigin: LogicalVolume;

  before(() => {
    useOwnStateFolder();
    server = SshServer.start();
    const { group } = lab;
    small = group.createVolume('small', size / 2);
    pool = new TestThinPool(group, { size: 100 * MiB, blockSize: 64 * KiB });
    thinOrigin = pool.createVolume('thin', size);
    fillRandom(thinOrigin.path, random, size / 2);
    thinSnapshot = pool.snapshot(thinOrigin, 'thin-snap');
    writeRandom(thinOrigin.path, random, scattered(random, size, { count: 300, length: 4 * KiB }));
    tool('blkdiscard', '-o', '0', '-l', `${MiB}`, thinOrigin.path);
  });
  after(() => server.stop());

  test('agree that a run would begin, here and over ssh, and leave all as it was', () => {
    const state = stateOfVolumes();
    const content = `${folder}/content`;
    saveContent(lab.copy.path, content);
    const undo = `${folder}/undo`;
    for (const names of [
      [lab.snapshot.path, lab.copy.path],
      [thinSnapshot.path, `${HOST.right}:${lab.copy.path}`],
    ]) {
      for (const mode of ['doctor', '--dry-run']) {
        const words = [mode, '--snapback', undo, ...names];
        const { status, stdout, stderr } = answers(words);
        assert.equal(status, 0, `${words.join(' ')}\n${stdout}${stderr}`);
        assert.doesNotMatch(stdout, /^missing/m);
      }
    }
    assert.equal(stateOfVolumes(), state);
    assertSameContent(lab.copy.path, content);
    assert.ok(!existsSync(undo));
    assert.equal(pool.heldRoot(), '-', 'the metadata snap was released');
    assert.ok(!existsSync(pool.recordPath()));
  });

  test('say how much would be sent, how much of it zeros, and how full the stores are', () => {
    const thick = answers(['--dry-run', lab.snapshot.path, lab.copy.path]).stdout;
    const [, bytes] = /^ {2}to be sent .*\((\d+) bytes\) in \d+ extents/m.exec(thick) ?? [];
    assert.match(thick, /^ {2}COW store {3}of vg0\/snap: \d+\.\d% full$/m);
    assert.match(thick, /^ {2}time {8}reading it took \d/m);
    const thin = answers(['--dry-run', thinSnapshot.path, lab.copy.path]).stdout;
    assert.match(thin, /^ {2}zeros {7}1\.0 MiB of that, discarded at the destination/m);
    assert.match(thin, /^ {2}pool {8}its metadata snap was reserved .* has been released$/m);
    const doctor = answers(['doctor', thinSnapshot.path]).stdout;
    assert.match(
      doctor,
      /^ok {7}source .*thin-snap, a thin volume of the pool pool; .*thin is read/m,
    );
    assert.match(doctor, /^ok {7}room {10}metadata of vg0\/pool: \d+\.\d% full$/m);
    assert.match(doctor, /^ok {7}kernel {8}target thin-pool$/m);

    saveContent(lab.copy.path, `${folder}/before`);
    const run = lvmsync([lab.snapshot.path, lab.copy.path]);
    assert.match(run.stderr, new RegExp(`^Transferred ${bytes} bytes`, 'm'), 'as it said');
    saveContent(`${folder}/before`, lab.copy.path);
  });

  test('refuse what a run refuses, with its status and its words', () => {
    const missing = ['--transport', 'command', lab.snapshot.path, `${HOST.bare}:${lab.copy.path}`];
    const cases: readonly [string, string[], number][] = [
      ['too small there', [lab.snapshot.path, `${HOST.right}:${small.path}`], 12],
      ['its own origin', [lab.snapshot.path, '/dev/vg0/data'], 12],
      ['no snapshot', ['/dev/vg0/data', lab.copy.path], 10],
      ['no lvmsync there', missing, 17],
    ];
    for (const [what, words, status] of cases) {
      const dry = lvmsync(['--dry-run', ...words]);
      const real = lvmsync(words);
      assert.equal(dry.status, status, `${what}: ${dry.stderr}`);
      assert.equal(real.status, status, `${what}: ${real.stderr}`);
      assert.deepEqual(fatalOf(dry), fatalOf(real), what);
    }
    const doctor = answers(['doctor', lab.snapshot.path, `${HOST.right}:${small.path}`]);
    assert.equal(doctor.status, 1);
    assert.match(doctor.stdout, /^missing {2}destination {3}localhost: .*small: too small: /m);
  });

  test('of a mounted destination say that it is in use', () => {
    tool('mkfs.ext4', '-q', small.path);
    const point = `${folder}/point`;
    tool('mkdir', point);
    tool('mount', small.path, point);
    try {
      const { status, stdout } = answers(['doctor', '-', small.path]);
      assert.equal(status, 1);
      assert.match(stdout, /^missing {2}destination {3}.*mounted/m);
    } finally {
      tool('umount', point);
    }
  });

  test('a dry run of a cycle says which turn it would take, and makes no snapshot', () => {
    const state = stateOfVolumes();
    const chain = `${folder}/chain`;
    const words = ['cycle', '--init', 'vg0/thin', lab.copy.path, '--snapback', chain];
    const { status, stdout, stderr } = answers(['--dry-run', ...words]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^ {2}from {8}nothing: this is a full copy$/m);
    assert.equal(stateOfVolumes(), state);
    assert.ok(!existsSync(chain));
  });

  test('a dry run of a cycle has LVM say whether a thick snapshot would have room', () => {
    const words = ['cycle', '--dry-run', '--init', 'vg0/data', lab.copy.path, '--size', '8M'];
    const chain = ['--snapback', `${folder}/chain`];
    assert.equal(lvmsync([...words, ...chain]).status, 0);
    tool('lvcreate', '-q', '-y', '-Wn', '-Zn', '-l', '100%FREE', '-n', 'rest', 'vg0');
    const state = stateOfVolumes();
    const { status, stderr } = lvmsync([...words, ...chain]);
    assert.equal(status, 10, stderr);
    assert.match(
      stderr,
      /^FATAL ERROR: lvcreate: exit status 5 \(Volume group "vg0" has insufficient free/m,
    );
    assert.equal(stateOfVolumes(), state);
    tool('lvremove', '-q', '-f', 'vg0/rest');
  });

  test('bench measures source, link and the disk there, and leaves nothing behind', () => {
    const state = stateOfVolumes();
    const scratch = `${folder}/scratch`;
    const options = ['--streams', '1', '--scratch', scratch];
    const { status, stdout, stderr } = answers([
      ...['bench', ...options],
      ...[lab.snapshot.path, `${HOST.right}:`],
    ]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^reading the source, 4 KiB random +[\d.]+ [KMG]iB/m);
    assert.match(stdout, /^LZ4, [\d.]+ to 1 +[\d.]+ [KMG]iB/m);
    assert.match(
      stdout,
      /^the link, 1 stream +[\d.]+ [KMG]iB {2}[\d.]+ [KMG]iB to [\d.]+ [KMG]iB$/m,
    );
    assert.match(stdout, /^writing, 64 KiB random .*\(localhost\)$/m);
    assert.match(stdout, /bottleneck/);
    assert.ok(!existsSync(scratch));
    assert.equal(stateOfVolumes(), state);
    const unknown = lvmsync(['bench', `${HOST.unknown}:`]);
    assert.equal(unknown.status, 17, unknown.stderr);
  });

  test('a dry run opens neither destination nor source for writing', () => {
    const output = `${folder}/trace`;
    const calls = 'trace=open,openat,ftruncate,pwrite64,pwritev,io_uring_enter';
    const words = ['--dry-run', lab.snapshot.path, lab.copy.path];
    const argv = ['strace', '-f', '-y', '-s', '200', '-e', calls, '-o', output];
    const { status, stderr } = runTool([...argv, process.execPath, CLI, ...words], {
      env: engineSetting('threads'),
    });
    assert.equal(status, 0, stderr);
    const lines = readFileSync(output, 'utf8').split('\n');
    const volumes = lines.filter((line) => /"\/dev\/(mapper\/|vg0\/|dm-)/.test(line));
    const ofUs = volumes.filter((line) => !line.includes('/dev/mapper/control'));
    assert.ok(
      ofUs.some((line) => line.includes(`"${lab.copy.path}"`)),
      'the trace sees the destination',
    );
    assert.deepEqual(
      ofUs.filter((line) => !line.includes('O_RDONLY')),
      [],
    );
    assert.deepEqual(
      lines.filter((line) => /(ftruncate|pwrite\w+)\(\d+<\/dev\/(mapper|vg0|dm-)/.test(line)),
      [],
    );
  });
});
