import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT } from '../../../src/base/errors.js';
import { assertFails, CLI, type Ending, lvmsync, runTool } from '../../helpers/program/cli.js';
import { assertDifferentContent } from '../harness/content.js';
import { withThickCopy } from '../harness/copies.js';
import { becomesFree, HOST, SshServer } from '../harness/sshd.js';

const STREAMS = 2;

describe('several streams over ssh', { skip: SshServer.missing() ?? false }, () => {
  const lab = withThickCopy({ changes: 1500, elsewhere: true });
  const { folder, random } = lab;
  let server: SshServer;
  let runs = 0;

  before(() => {
    server = SshServer.start();
  });
  beforeEach(() => lab.restore());
  after(() => server.stop());

  /** LVM need not be asked each time where to find these. */
  const changes = (): string[] => [
    ...['--cow-store', `${lab.snapshot.path}-cow`, '--data-source', lab.origin.path],
  ];
  const words = (...options: string[]): string[] => [
    ...['--streams', String(STREAMS), '--require-ack', ...options],
    ...changes(),
    `${HOST.right}:${lab.copy.path}`,
  ];
  const newSnapback = (): string => `${folder}/undo-${runs++}`;
  const partsOf = (snapback: string): string[] =>
    [1, 2].map((index) => `${snapback}.${index}-of-${STREAMS}`);
  const goBack = (snapback: string): void => {
    const parts = partsOf(snapback);
    for (const part of random.below(2) === 0 ? parts : parts.reverse()) {
      const { status, stderr } = lvmsync(['--apply', part, lab.copy.path]);
      assert.equal(status, 0, stderr);
    }
    lab.assertUntouched();
  };

  test('bring a volume up to date over connections of their own, and their snapbacks back', () => {
    const snapback = newSnapback();
    const { status, stderr } = lvmsync(words('-v', '--snapback', snapback));
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /WARNING/);
    assert.equal(stderr.match(/^running: ssh -a -x -T -S none /gm)?.length, STREAMS);
    lab.assertEqual();
    goBack(snapback);
  });

  test('bring a volume up to date through the built-in client', () => {
    const { status, stderr } = lvmsync(words('--transport', 'ssh2'));
    assert.equal(status, 0, stderr);
    lab.assertEqual();
  });

  test('claim the volume together: the kernel and every other run are kept off', async () => {
    const { ended, receivers } = await startSlowly();
    assert.equal(receivers().length, STREAMS);
    assert.ok(isClaimed(lab.copy.path));
    assertFails(lvmsync([...changes(), lab.copy.path]), EXIT.locked, /at work on it/);
    const { status, stderr } = await ended;
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /WARNING/);
    lab.assertEqual();
  });

  test('one of whose receivers is killed fail as a whole, and can be undone', async () => {
    const snapback = newSnapback();
    const { ended, receivers } = await startSlowly('--snapback', snapback);
    process.kill(receivers()[random.below(STREAMS)] ?? 0, 'SIGKILL');
    assertFails(await ended, EXIT.transport, /\(stream \d of 2\)/);
    await becomesFree(lab.copy.path);
    assertDifferentContent(lab.origin.path, lab.copy.path);
    goBack(snapback);
    const again = lvmsync(words('--snapback', newSnapback()));
    assert.equal(again.status, 0, again.stderr);
    lab.assertEqual();
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
    const receivers = (): number[] => receiversOf(lab.copy.path);
    const tooEarly = ended.then(({ stderr }) => assert.fail(`it has ended: ${stderr}`));
    tooEarly.catch(() => undefined);
    while (
      receivers().length < STREAMS ||
      !isClaimed(lab.copy.path) ||
      isSame(lab.copy.path, lab.untouched)
    ) {
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
