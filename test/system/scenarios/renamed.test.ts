// Volumes that get another name while a run has them open: it knows them by what does not change.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { CLI } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { assertSameContent, fillRandom, saveContent } from '../harness/content.js';
import { KiB, type LogicalVolume, MiB, TestVolumeGroup } from '../harness/lvm.js';
import { TestThinPool, useOwnStateFolder } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

describe('a volume that is renamed during a run', () => {
  const random = new Random();
  let group: TestVolumeGroup;
  let copy: LogicalVolume;

  before(() => {
    useOwnStateFolder();
    group = new TestVolumeGroup({ size: 60 * MiB, extentSize: MiB });
    copy = group.createVolume('copy', 4 * MiB);
  });
  after(() => group.destroy());

  test('F46: a thick snapshot and its origin', async () => {
    const origin = group.createVolume('data', 4 * MiB);
    saveContent(origin.path, copy.path);
    group.createSnapshot(origin, { name: 'snap', chunkSize: 4 * KiB });
    fillRandom(origin.path, random, MiB);
    await runsWhile(['/dev/vg0/snap', copy.path], /which matches the kernel's count/, () => {
      rename('snap', 'snap2');
      rename('data', 'data2');
    });
    assertSameContent('/dev/vg0/data2', copy.path);
    await runsWhile(
      ['verify', '/dev/vg0/snap2', copy.path],
      /which matches the kernel's count/,
      () => {
        rename('snap2', 'snap3');
        rename('data2', 'data3');
      },
    );
    tool('lvremove', '-q', '-f', 'vg0/data3');
  });

  test('F46: a thin snapshot, its origin and their pool', async () => {
    const pool = new TestThinPool(group, {
      blockSize: 64 * KiB,
      metadataSize: 2 * MiB,
      size: 16 * MiB,
    });
    const origin = pool.createVolume('thin', 4 * MiB);
    saveContent(origin.path, copy.path);
    tool('lvcreate', '-q', '-y', '-s', '-n', 'thinsnap', 'vg0/thin');
    fillRandom(origin.path, random, MiB);
    await runsWhile(['vg0/thinsnap', copy.path], /in blocks of/, () => {
      rename('thinsnap', 'thinsnap2');
      rename('thin', 'thin2');
      rename(pool.name, 'pool2');
    });
    assertSameContent('/dev/vg0/thin2', copy.path);
  });

  test('F46: the snapshot of a turn, which is put to rest all the same', async () => {
    const chain = `${scratchFolder()}/chain`;
    const words = ['cycle', 'vg0/thin2', copy.path, '--snapback', chain, '--init'];
    fillRandom('/dev/vg0/thin2', random, MiB);
    await runsWhile(words, /in blocks of/, () => {
      const ours = ['--noheadings', '-S', 'lv_tags=lvmsync_cycle', 'vg0'];
      rename(tool('lvs', '-o', 'lv_name', ...ours).trim(), 'taken');
    });
    assert.equal(tool('lvs', '--noheadings', '-o', 'lv_active', 'vg0/taken').trim(), '');
    assertSameContent('/dev/vg0/thin2', copy.path);
  });

  const rename = (from: string, to: string): void => {
    tool('lvrename', '-q', 'vg0', from, to);
  };

  /** Slow enough for the names to change meanwhile, under everything that looks while it goes on. */
  async function runsWhile(
    words: readonly string[],
    begun: RegExp,
    change: () => void,
  ): Promise<void> {
    const slowly = [
      '-v',
      '--bwlimit',
      '256K',
      ...(words[0] === 'verify' ? [] : ['--max-cow-use', '90']),
    ];
    const argv = [CLI, ...words.slice(0, 1), ...slowly, ...words.slice(1)];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    let changed = false;
    child.stderr.on('data', (text) => {
      stderr += text;
      if (changed || !begun.test(stderr)) return;
      changed = true;
      change();
    });
    const [status] = await once(child, 'close');
    assert.equal(status, 0, stderr);
    assert.ok(changed, stderr);
    assert.doesNotMatch(stderr, /WARNING|warning/, stderr);
  }
});
