import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { assertFails, runTool } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { saveContent } from '../harness/content.js';
import { CycleLaboratory } from '../harness/cycles.js';
import { rollBack } from '../harness/prove-cycles.js';
import { tool } from '../harness/tool.js';

/** Makes, replaces, renames and removes files, all the time and now and then durably. */
const WORK = `
  const fs = require('node:fs');
  const { randomBytes, randomInt } = require('node:crypto');
  process.chdir(process.argv[1]);
  const name = () => 'file-' + randomInt(40);
  const write = (flush) => fs.writeFileSync(name(), randomBytes(randomInt(30000)), { flush });
  const deeds = [
    () => write(false),
    () => write(true),
    () => fs.renameSync(name(), name()),
    () => fs.rmSync(name()),
    () => fs.mkdirSync('folder-' + randomInt(10)),
    () => fs.rmdirSync('folder-' + randomInt(10)),
  ];
  setInterval(() => {
    try {
      deeds[randomInt(deeds.length)]();
    } catch (error) {
      if (!['ENOENT', 'EEXIST', 'ENOSPC'].includes(error.code)) throw error;
    }
  }, 10);`;

describe('cycles of a volume with a file system that is used', () => {
  const folder = scratchFolder();
  const mountPoint = scratchFolder();
  const replayed = scratchFolder();
  const state = `${folder}/state`;
  const hashes: string[] = [];
  let laboratory: CycleLaboratory;
  let worker: ChildProcess;

  before(() => {
    laboratory = new CycleLaboratory('thick', new Random());
    tool('mkfs.ext4', '-q', laboratory.origin.path);
  });
  after(() => laboratory.destroy());

  const beginWork = (...options: string[]): void => {
    tool('mount', ...options, laboratory.origin.path, mountPoint);
    const words = ['-e', WORK, mountPoint];
    worker = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] });
  };
  const endWork = async (): Promise<void> => {
    assert.equal(worker.exitCode, null, 'it was used all the time');
    const ended = once(worker, 'exit');
    worker.kill();
    await ended;
    tool('umount', mountPoint);
  };
  const needsRecovery = (): boolean => tool('dumpe2fs', '-h', state).includes('needs_recovery');
  const assertClean = (): void => {
    const { status, stdout, stderr } = runTool(['e2fsck', '-f', '-n', state]);
    assert.equal(status, 0, `${stdout}${stderr}`);
  };
  /** What the copy holds after a turn, in a file. */
  const takeTurn = (...options: string[]): void => {
    hashes.push(laboratory.turnSucceeds(...options));
    saveContent(laboratory.copy.path, state);
  };

  test('are clean where it is mounted on the volume, since LVM freezes it', async () => {
    beginWork();
    const refused = laboratory.turnInto(`${mountPoint}/mail.chain`, '--init');
    assertFails(refused, EXIT.snapback, /mail\.chain: it is stored on vg0\/mail/);
    assert.deepEqual(laboratory.snapshots(), [], 'none was made');
    for (let turn = 0; turn < 3; turn++) {
      takeTurn(...(turn === 0 ? ['--init'] : []));
      assert.ok(!needsRecovery(), 'its journal is empty');
      assertClean();
    }
    await endWork();
  });

  test('recover when they are mounted where LVM cannot freeze it, as with a virtual machine', async () => {
    beginWork('-o', 'loop');
    for (let turn = 0; turn < 3; turn++) {
      takeTurn();
      assert.ok(needsRecovery(), 'its journal is not empty');
      tool('mount', '-o', 'loop', state, replayed);
      tool('umount', replayed);
      assertClean();
    }
    await endWork();
  });

  test('are the same after a rollback', async () => {
    assert.equal(new Set(hashes).size, hashes.length, 'each turn led to another state');
    for (const hash of hashes.slice(0, -1).reverse()) {
      assert.equal(await rollBack(laboratory, '--steps', '1'), hash);
    }
  });
});
