// A merge into the origin gives it another content at once, and the lists of its other snapshots learn of that
// only bit by bit.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { assertFails, CLI, type Ending } from '../../helpers/program/cli.js';
import { runInProcess } from '../../helpers/program/in-process.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { assertSameContent, fillRandom, saveContent } from '../harness/content.js';
import { KiB, type LogicalVolume, MiB, replaceSegment, TestVolumeGroup } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

describe('a snapshot whose sibling is merged into their origin', () => {
  const random = new Random();
  const untouched = `${scratchFolder()}/copy`;
  const chain = `${scratchFolder()}/chain`;
  const chunkSize = 4 * KiB;
  let group: TestVolumeGroup;
  let origin: LogicalVolume;
  let copy: LogicalVolume;
  let snapshot: LogicalVolume;

  before(() => {
    group = new TestVolumeGroup({ size: 60 * MiB, extentSize: MiB });
    copy = group.createVolume('copy', 4 * MiB);
  });
  after(() => group.destroy());
  beforeEach(() => {
    origin = group.createVolume('data', 4 * MiB);
    fillRandom(origin.path, random, origin.size);
    saveContent(origin.path, copy.path);
    snapshot = group.createSnapshot(origin, { name: 'a', chunkSize });
    const sibling = group.createSnapshot(origin, { name: 'b', chunkSize });
    fillRandom(sibling.path, random, MiB);
    saveContent(copy.path, untouched);
  });
  afterEach(() => tool('lvremove', '-q', '-f', 'vg0/data'));

  const MERGE = /a merge of vg0\/b/;
  const refused = async (...words: string[]): Promise<void> => {
    assertFails(await runInProcess(words), EXIT.sourceUnfit, MERGE);
  };

  test('F1: it is refused while the merge waits for the origin to be closed', async () => {
    const holder = openSync(origin.path, 'r');
    try {
      tool('lvconvert', '-q', '--merge', 'vg0/b');
      await refused(snapshot.path, copy.path);
    } finally {
      closeSync(holder);
    }
    assertSameContent(copy.path, untouched);
  });

  test('F1: it is refused while the merge runs', async () => {
    const slow = (device: string, sector: number): string => `delay ${device} ${sector} 300`;
    replaceSegment('vg0-b-cow', { offset: MiB, length: MiB }, slow);
    // Left alone, LVM ends a merge as soon as it looks and finds all merged; here it looks late.
    const late = ['--background', '--interval', '+300'];
    tool('lvconvert', '-q', '--merge', ...late, 'vg0/b');
    assert.match(tool('dmsetup', 'status', origin.dmName), /snapshot-merge/, 'the merge runs');

    await refused(snapshot.path, copy.path);
    await refused('--stdout', snapshot.path);
    const store = ['--cow-store', '/dev/mapper/vg0-a-cow', '--data-source', origin.path];
    await refused(...store, copy.path);
    await refused('-e', '/bin/false', snapshot.path, `there:${copy.path}`);
    await refused('verify', snapshot.path, copy.path);
    await refused('verify', '--full', snapshot.path, copy.path);
    await refused('cycle', 'vg0/data', copy.path, '--snapback', chain, '--size', '50%', '--init');
    const doctor = await runInProcess(['doctor', snapshot.path]);
    assert.equal(doctor.status, 1, `${doctor.stdout}`);
    assert.match(`${doctor.stdout}`, MERGE);
    assertSameContent(copy.path, untouched);
  });

  test('F1: a run over which the merge begins fails before it says that all is there', async () => {
    fillRandom(origin.path, random, MiB);
    saveContent(origin.path, copy.path);
    const words = [snapshot.path, copy.path];
    const runs = [start(...words), start('verify', ...words)];
    await Promise.all(runs.map(({ begun }) => begun));
    mergeByHand();
    for (const { ended } of runs) assertFails(await ended, EXIT.sourceUnfit, MERGE);
  });

  /** With so little a second that the first still goes on when the second has begun on a busy machine. */
  function start(...words: string[]): { begun: Promise<void>; ended: Promise<Ending> } {
    const stdio: ['ignore', 'ignore', 'pipe'] = ['ignore', 'ignore', 'pipe'];
    const child = spawn(process.execPath, [CLI, '-v', '--bwlimit', '80K', ...words], { stdio });
    let stderr = '';
    const begun = new Promise<void>((resolve) => {
      child.stderr.on('data', (text) => {
        stderr += text;
        if (/which matches the kernel's count/.test(stderr)) resolve();
      });
    });
    const ended = once(child, 'close').then(([status]) => ({ status, stderr }));
    return { begun, ended };
  }

  /** LVM begins none while the origin is open, but for one that it was about to begin. */
  function mergeByHand(): void {
    const [start, length, , real] = tool('dmsetup', 'table', 'vg0-data').split(' ');
    const cow = tool('dmsetup', 'table', 'vg0-b').split(' ')[4];
    const merge = `${start} ${length} snapshot-merge ${real} ${cow} P 8`;
    tool('dmsetup', 'load', 'vg0-data', '--table', merge);
    tool('dmsetup', 'load', 'vg0-b', '--table', `${start} ${length} error`);
    for (const name of ['vg0-b', 'vg0-data']) tool('dmsetup', 'suspend', name);
    for (const name of ['vg0-data', 'vg0-b']) tool('dmsetup', 'resume', name);
  }
});
