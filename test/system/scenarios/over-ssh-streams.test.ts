import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT } from '../../../src/base/errors.js';
import { assertFails, CLI, type Ending, lvmsync, runTool } from '../../helpers/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import {
  assertDifferentContent,
  assertSameContent,
  fillRandom,
  saveContent,
  scattered,
  writeRandom,
} from '../harness/content.js';
import { KiB, type LogicalVolume, MiB, TestVolumeGroup } from '../harness/lvm.js';
import { becomesFree, HOST, SshServer } from '../harness/sshd.js';

const STREAMS = 2;

describe('several streams over ssh', { skip: SshServer.missing() ?? false }, () => {
  const random = new Random();
  const folder = scratchFolder();
  const former = `${folder}/former`;
  let server: SshServer;
  let here: TestVolumeGroup;
  let there: TestVolumeGroup;
  let origin: LogicalVolume;
  let snapshot: LogicalVolume;
  let copy: LogicalVolume;
  let runs = 0;

  before(() => {
    server = SshServer.start();
    here = new TestVolumeGroup({ name: 'vg0', size: 100 * MiB });
    there = new TestVolumeGroup({ name: 'vg2', size: 60 * MiB });
    origin = here.createVolume('data', 16 * MiB);
    copy = there.createVolume('copy', 16 * MiB);
    fillRandom(origin.path, random, origin.size);
    saveContent(origin.path, former);
    snapshot = here.createSnapshot(origin, { chunkSize: 4 * KiB });
    writeRandom(origin.path, random, scattered(random, origin.size, { count: 1500, length: 4096 }));
  });
  beforeEach(() => saveContent(former, copy.path));
  after(() => {
    here.destroy();
    there.destroy();
    server.stop();
  });

  /** LVM need not be asked each time where to find these. */
  const changes = (): string[] => [
    ...['--cow-store', `${snapshot.path}-cow`, '--data-source', origin.path],
  ];
  const words = (...options: string[]): string[] => [
    ...['--streams', String(STREAMS), '--require-ack', ...options],
    ...changes(),
    `${HOST.right}:${copy.path}`,
  ];
  const newSnapback = (): string => `${folder}/undo-${runs++}`;
  const partsOf = (snapback: string): string[] =>
    [1, 2].map((index) => `${snapback}.${index}-of-${STREAMS}`);
  const goBack = (snapback: string): void => {
    const parts = partsOf(snapback);
    for (const part of random.below(2) === 0 ? parts : parts.reverse()) {
      const { status, stderr } = lvmsync(['--apply', part, copy.path]);
      assert.equal(status, 0, stderr);
    }
    assertSameContent(copy.path, former);
  };

  test('bring a volume up to date over connections of their own, and their snapbacks back', () => {
    const snapback = newSnapback();
    const { status, stderr } = lvmsync(words('-v', '--snapback', snapback));
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /WARNING/);
    assert.equal(stderr.match(/^running: ssh -a -x -T -S none /gm)?.length, STREAMS);
    assertSameContent(origin.path, copy.path);
    goBack(snapback);
  });

  test('bring a volume up to date through the built-in client', () => {
    const { status, stderr } = lvmsync(words('--transport', 'ssh2'));
    assert.equal(status, 0, stderr);
    assertSameContent(origin.path, copy.path);
  });

  test('claim the volume together: the kernel and every other run are kept off', async () => {
    const { ended, receivers } = await startSlowly();
    assert.equal(receivers().length, STREAMS);
    assert.ok(isClaimed(copy.path));
    assertFails(lvmsync([...changes(), copy.path]), EXIT.locked, /at work on it/);
    const { status, stderr } = await ended;
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /WARNING/);
    assertSameContent(origin.path, copy.path);
  });

  test('one of whose receivers is killed fail as a whole, and can be undone', async () => {
    const snapback = newSnapback();
    const { ended, receivers } = await startSlowly('--snapback', snapback);
    process.kill(receivers()[random.below(STREAMS)] ?? 0, 'SIGKILL');
    assertFails(await ended, EXIT.transport, /\(stream \d of 2\)/);
    await becomesFree(copy.path);
    assertDifferentContent(origin.path, copy.path);
    goBack(snapback);
    const again = lvmsync(words('--snapback', newSnapback()));
    assert.equal(again.status, 0, again.stderr);
    assertSameContent(origin.path, copy.path);
  });

  interface Started {
    readonly ended: Promise<Ending>;
    readonly receivers: () => number[];
  }

  /** A run that takes some seconds, and is under way at all receivers. */
  async function startSlowly(...options: string[]): Promise<Started> {
    const argv = [CLI, ...words('--bwlimit', '1M', ...options)];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = (async () => {
      const said = text(child.stderr);
      const [status] = (await once(child, 'exit')) as [number | null];
      return { status, stderr: await said };
    })();
    const receivers = (): number[] => receiversOf(copy.path);
    const tooEarly = ended.then(({ stderr }) => assert.fail(`it has ended: ${stderr}`));
    tooEarly.catch(() => undefined);
    while (receivers().length < STREAMS || !isClaimed(copy.path) || isSame(copy.path, former)) {
      await Promise.race([delay(50), tooEarly]);
    }
    return { ended, receivers };
  }
});

/** Whether the kernel refuses the device to others who want it for themselves. */
function isClaimed(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_EXCL));
    return false;
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'EBUSY', String(error));
    return true;
  }
}

function isSame(path: string, other: string): boolean {
  return runTool(['cmp', '-s', path, other]).status === 0;
}

/** Processes that were started to write that device. */
function receiversOf(path: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const argv = tryRead(`/proc/${pid}/cmdline`).split('\0');
      return argv[1] === CLI && argv.includes('--apply') && argv.includes(path);
    })
    .map(Number);
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
