import assert from 'node:assert/strict';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { wasWritten, writeMark } from '../../../src/device/write-mark.js';
import { scratchFolder } from '../../helpers/scratch.js';

describe('F45: wasWritten', () => {
  const cases: readonly [
    what: string,
    before: string | undefined,
    now: string | undefined,
    written: boolean,
  ][] = [
    ['nothing happened', 'boot-1 800 16', 'boot-1 800 16', false],
    ['something was written', 'boot-1 800 16', 'boot-1 808 16', true],
    ['something was discarded', 'boot-1 800 0', 'boot-1 800 8', true],
    ['it was inactive, and written since', 'boot-1 800 16', 'boot-1 8 0', true],
    ['it was inactive', 'boot-1 800 16', 'boot-1 0 0', false],
    ['the machine was started again', 'boot-1 800 16', 'boot-2 808 16', false],
    ['it was not noted', undefined, 'boot-1 808 16', false],
    ['nothing counts', 'boot-1 800 16', undefined, false],
    ['a file has another time', 'file 4096 1000', 'file 4096 2000', true],
  ];
  for (const [what, before, now, written] of cases) {
    test(`F45: is ${written} where ${what}`, () => assert.equal(wasWritten(before, now), written));
  }
});

describe('F45: writeMark', () => {
  test('F45: of a block device holds what the kernel counts', () => {
    const root = scratchFolder();
    for (const path of ['proc/sys/kernel/random', 'sys/dev/block/253:4']) {
      mkdirSync(join(root, path), { recursive: true });
    }
    writeFileSync(join(root, 'proc/sys/kernel/random/boot_id'), 'boot-1\n');
    const stat = '  9 0 72 0 100 0 800 3 0 5 3 2 0 16 0 0 0\n';
    writeFileSync(join(root, 'sys/dev/block/253:4/stat'), stat);
    const device = { path: '/dev/vg/copy', identity: { kind: 'block', device: '253:4' } } as const;
    assert.equal(writeMark(device, root), 'boot-1/ 800 16');
    writeFileSync(join(root, 'sys/dev/block/253:4/diskseq'), '7\n');
    assert.equal(writeMark(device, root), 'boot-1/7 800 16');
    const other = { ...device, identity: { kind: 'block', device: '253:5' } } as const;
    assert.equal(writeMark(other, root), undefined);
  });

  test('F45: of a file changes with its content only', () => {
    const path = join(scratchFolder(), 'copy.img');
    const identity = { kind: 'file', device: '1', inode: '2' } as const;
    assert.equal(writeMark({ path, identity }), undefined);
    writeFileSync(path, 'content');
    const before = writeMark({ path, identity });
    assert.equal(wasWritten(before, writeMark({ path, identity })), false);
    utimesSync(path, 1, 1);
    assert.equal(wasWritten(before, writeMark({ path, identity })), true);
  });

  test('F45: of a file is another one after a write that follows at once', () => {
    const path = join(scratchFolder(), 'copy.img');
    const identity = { kind: 'file', device: '1', inode: '2' } as const;
    for (let round = 0; round < 20; round++) {
      writeFileSync(path, 'ours');
      const before = writeMark({ path, identity });
      writeFileSync(path, 'them');
      assert.equal(wasWritten(before, writeMark({ path, identity })), true, `round ${round}`);
    }
  });
});
