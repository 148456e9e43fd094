import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from '../../../src/base/errors.js';
import { chainIdOf, formatGo, type PullRequest } from '../../../src/cycle/pull-lines.js';
import { campaignSize, someOf } from '../../helpers/faults/campaign.js';
import {
  assertFails,
  assertSucceeds,
  type CliResult,
  lvmsync,
  runTool,
} from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { HostilePuller, SESSION } from '../../helpers/remote/hostile-puller.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { contentHash, writeRandom } from '../harness/content.js';
import { CycleLaboratory } from '../harness/cycles.js';
import { KiB, MiB } from '../harness/lvm.js';
import { HOST, SshServer } from '../harness/sshd.js';
import { useOwnStateFolder } from '../harness/thin.js';

const random = new Random();
/** The comparisons of which a commit runs one. */
const compared = someOf(['base', 'copy', 'thin'], 1, random);
const unlessDrawn = (name: string) => (compared.includes(name) ? false : 'not drawn this time');
const skip = campaignSize({ commit: 0, release: 1 }) === 0 ? 'only for a release' : false;
const folder = scratchFolder();

describe('a cycle run that the host of the copy fetches', {
  skip: SshServer.missing() ?? false,
}, () => {
  let server: SshServer;
  let lab: CycleLaboratory;
  const frozen = `${folder}/frozen`;
  /** All that production grants. */
  const forced = `lvmsync cycle --serve vg0/mail --size 120% --freeze-cmd 'sh -c \\"echo f >> ${frozen}\\"' --thaw-cmd 'sh -c \\"echo t >> ${frozen}\\"'`;

  before(() => {
    useOwnStateFolder();
    server = SshServer.start();
    const keys = `${process.env.HOME}/.ssh/authorized_keys`;
    writeFileSync(keys, `command="${forced}",restrict ${readFileSync(keys, 'utf8')}`);
    lab = new CycleLaboratory('thick', random);
  });
  after(async () => {
    await lab.destroy();
    server.stop();
  });

  const words = (...options: string[]): string[] => {
    const volume = `root@${HOST.right}:vg0/mail`;
    return ['cycle', volume, lab.copy.path, '--snapback', lab.chain, ...options];
  };
  const pull = (...options: string[]): CliResult => lvmsync(words(...options));
  const change = (): void => {
    const offset = random.below(6 * MiB);
    writeRandom(lab.origin.path, random, [{ offset: offset - (offset % KiB), length: MiB }]);
  };
  /** The copy equals the only snapshot there is; its hash. */
  const holds = (): string => {
    const snapshots = lab.snapshots();
    assert.equal(snapshots.length, 1, JSON.stringify(snapshots));
    const [{ lvName, uuid } = assert.fail()] = snapshots;
    assert.equal(uuid, lab.point());
    const hash = lab.hash();
    assert.equal(hash, contentHash(`/dev/vg0/${lvName}`), 'the copy and the snapshot');
    return hash;
  };

  test('copies everything, then what changed; goes back and forward', () => {
    assertFails(pull(), EXIT.destinationUnfit, /no history in/);
    const nowhere = words('--init').map((word) => (word === lab.chain ? '/nowhere/x' : word));
    assertFails(lvmsync(nowhere), EXIT.destinationUnfit, /cannot be used for a chain/);
    assert.deepEqual(lab.snapshots(), []);
    assertSucceeds(pull('--init', '--size', '1%'));
    const first = holds();
    change();
    const next = pull('--keep', '5');
    assertSucceeds(next);
    assert.match(next.stderr, /now matches root@localhost:vg0\/mail as of/);
    const second = holds();
    assert.notEqual(first, second);
    assertSucceeds(lvmsync(['rollback', '--steps', '1', lab.copy.path, lab.chain]));
    assert.equal(lab.hash(), first);
    assertSucceeds(lvmsync(['rollback', '--redo', lab.copy.path, lab.chain]));
    assert.equal(lab.hash(), second);
    assert.equal(readFileSync(frozen, 'utf8'), 'f\nt\n'.repeat(2), 'frozen once each time');
  });

  test('serves no other volume', { skip }, () => {
    const other = words().map((word) => word.replace('vg0/mail', 'vg0/other'));
    assertFails(lvmsync(other), EXIT.sourceUnfit, /it serves vg0\/mail, not vg0\/other/);
  });

  test('runs nothing that the puller names', { skip }, () => {
    const evil = server.addProgram('evil', `echo "$0 $SSH_ORIGINAL_COMMAND" > ${folder}/run`);
    change();
    assertSucceeds(pull('--remote-path', evil, '--size', '1%', '--freeze-cmd', evil));
    holds();
    assert.ok(!existsSync(`${folder}/run`), 'the forced command takes no words');
  });

  test('goes on after a connection that broke, with both snapshots kept', { skip }, async () => {
    writeRandom(lab.origin.path, random, [{ offset: MiB, length: 3 * MiB }]);
    const cut = server.addProgram('cut', 'ssh "$@" | dd bs=64k count=30 2> /dev/null');
    assertFails(
      pull('-e', cut, '--timeout', '5'),
      EXIT.transport,
      /^FATAL ERROR: root@localhost: /,
    );
    assert.equal(lab.snapshots().length, 2);
    await eventually(() => pull().status === 0);
    holds();
  });

  const serve = ['vg0/mail', '--size', '120%', '--timeout', '2'];
  const unknown = { uuid: 'no-such-uuid', time: '2020-01-01T00:00:00Z' };
  const refused: readonly (readonly [string, Partial<PullRequest>, boolean | string])[] = [
    ['invents another copy', { chain: '000000000000' }, false],
    ['names a point that never was', { mode: 'next', point: unknown }, skip],
  ];
  for (const [what, request, skipped] of refused) {
    test(`a puller that ${what} gets nothing`, { skip: skipped }, async () => {
      const puller = new HostilePuller(serve);
      puller.request({ chain: chainId(), ...request });
      const end = await puller.end({ closes: false });
      assert.equal(end.status, EXIT.sourceUnfit, end.stderr);
      assert.match(`${end.output}`, new RegExp(`lvmsync-result 1 ${SESSION} failed 10 `));
      assert.ok(!end.output.includes('PROTO[3]'), 'nothing was read');
      assert.equal(lab.snapshots().length, 1);
    });
  }

  /** Begins the next cycle run, as the host of the copy does. */
  const begins = async (): Promise<{ readonly puller: HostilePuller; readonly id: string }> => {
    const puller = new HostilePuller(serve);
    const { point } = JSON.parse(readFileSync(`${lab.chain}/chain.json`, 'utf8'));
    puller.request({ mode: 'next', point, chain: chainId() });
    assert.ok(await puller.hears('serves vg0/mail'));
    puller.say(formatGo(SESSION));
    return { puller, id: await puller.streamId() };
  };
  test('both snapshots stay where a puller confirms what it did not get', async () => {
    change();
    const { puller, id } = await begins();
    puller.say(`lvmsync-result 1 ${id} ok 0 0 ${'0'.repeat(32)}\n`);
    const end = await puller.end({ closes: false });
    assert.equal(end.status, EXIT.transport, end.stderr);
    assert.equal(lab.snapshots().length, 2);
  });

  test('both snapshots stay where a puller goes silent, and it is ended', { skip }, async () => {
    change();
    const { puller, id } = await begins();
    puller.say(`lvmsync-ready 1 ${id}\n`);
    await puller.hang();
    const end = await puller.end({ closes: false });
    assert.equal(end.status, EXIT.transport, end.stderr);
    assert.match(end.stderr, /nothing moved for 2 s/);
    assert.equal(lab.snapshots().length, 2);
  });

  test('the honest one goes on from there', () => {
    assertSucceeds(pull());
    holds();
  });

  test('goes on by comparison where the base is gone', { skip: unlessDrawn('base') }, () => {
    const before = lab.hash();
    removeSnapshots();
    change();
    const refused = pull();
    assertFails(refused, EXIT.sourceUnfit, /no longer exists/);
    assert.match(refused.stderr, /Run the same command on the host of the copy with --compare/);
    assertSucceeds(pull('--compare=lost'));
    const after = holds();
    assert.notEqual(after, before);
    goesBackAndForward({ before, after });
  });

  test('overwrites what something else wrote to the copy, and marks the points before', {
    skip: unlessDrawn('copy'),
  }, () => {
    const places = [0, 5, 7].map((n) => ({ offset: n * MiB + 12 * KiB, length: 4 * KiB }));
    writeRandom(lab.copy.path, random, places);
    change();
    const refused = pull('--compare=lost');
    assertFails(refused, EXIT.destinationUnfit, /wrote to it/);
    assert.match(refused.stderr, /without "=lost"/);
    assertSucceeds(pull('--compare'));
    holds();
    const { points } = JSON.parse(
      `${lvmsync(['chain', '--json', lab.chain, lab.copy.path]).stdout}`,
    );
    const marks = points.map(({ exact }: { exact: string }) => exact);
    assert.deepEqual([marks[0], new Set(marks.slice(1))], ['yes', new Set(['no'])]);
  });

  test('ends on the host of the volume', () => {
    const end = ['cycle', '--end', '--serve', 'vg0/mail'];
    assertFails(lvmsync([...end, 'offsite']), EXIT.sourceUnfit, /no snapshot of a cycle that is/);
    assertSucceeds(lvmsync([...end, '--dry-run']));
    assert.equal(lab.snapshots().length, 1);
    assertSucceeds(lvmsync(end));
    assert.deepEqual(lab.snapshots(), []);
  });

  function removeSnapshots(): void {
    for (const { lvName } of lab.snapshots()) runTool(['lvremove', '-qqf', `vg0/${lvName}`]);
    assert.deepEqual(lab.snapshots(), []);
  }

  function goesBackAndForward({ before, after }: Record<'before' | 'after', string>): void {
    assertSucceeds(lvmsync(['rollback', '--steps', '1', lab.copy.path, lab.chain]));
    assert.equal(lab.hash(), before);
    assertSucceeds(lvmsync(['rollback', '--redo', lab.copy.path, lab.chain]));
    assert.equal(lab.hash(), after);
  }

  function chainId(): string {
    return chainIdOf({ host: hostname(), path: lab.copy.path, directory: lab.chain });
  }
});

async function eventually(attempt: () => boolean): Promise<void> {
  for (let i = 0; i < 20; i++) {
    if (attempt()) return;
    await sleep(300);
  }
  assert.fail('it never succeeded');
}

test('a thin volume is fetched, and goes on by comparison, too', {
  skip: SshServer.missing() ?? unlessDrawn('thin'),
}, async () => {
  useOwnStateFolder();
  const server = SshServer.start();
  const lab = new CycleLaboratory('thin', random);
  const volume = `root@${HOST.right}:vg0/mail`;
  const pull = (...options: string[]): CliResult =>
    lvmsync(['cycle', volume, lab.copy.path, '-b', lab.chain, ...options]);
  try {
    assertSucceeds(pull('--init', '--force'));
    for (const options of [[], ['--compare']]) {
      const before = lab.hash();
      writeRandom(lab.origin.path, random, [{ offset: MiB, length: MiB }]);
      for (const { lvName } of options.length > 0 ? lab.snapshots() : []) {
        runTool(['lvremove', '-qqf', `vg0/${lvName}`]);
      }
      assertSucceeds(pull(...options));
      assert.equal(lab.hash(), contentHash(lab.origin.path));
      assertSucceeds(lvmsync(['rollback', '--steps', '1', lab.copy.path, lab.chain]));
      assert.equal(lab.hash(), before);
      assertSucceeds(lvmsync(['rollback', '--redo', lab.copy.path, lab.chain]));
    }
  } finally {
    await lab.destroy();
    server.stop();
  }
});
