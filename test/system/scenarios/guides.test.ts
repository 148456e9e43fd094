import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { someOf } from '../../helpers/faults/campaign.js';
import { runTool } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { assertSameContent } from '../harness/content.js';
import { repository } from '../harness/guest.js';
import { KiB, MiB, TestVolumeGroup } from '../harness/lvm.js';
import { HOST, SshServer } from '../harness/sshd.js';
import { TestThinPool, useOwnStateFolder } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

interface Setting {
  readonly here: TestVolumeGroup;
  readonly there: TestVolumeGroup;
  readonly folder: string;
  readonly server: SshServer;
}

/** A document whose commands are typed one after the other, and what has to hold after some of them. */
interface Guide {
  readonly path: string;
  /** What it takes for granted, beyond vg0/mail with a file system in use, and an empty vg1. */
  readonly prepare?: (setting: Setting) => void;
  /** Blocks that are not run here: what runs this test, and what another entry or test types. */
  readonly leftOut?: RegExp;
  /** Holds after each block that matches: both devices are equal. */
  readonly equalAfter: readonly [block: RegExp, one: string, other: string][];
}

const GUIDES: readonly [Guide, ...Guide[]] = [
  {
    path: 'README.md',
    leftOut: /^git clone/,
    equalAfter: [[/^umount/m, 'vg0/mail', 'vg1/mail']],
  },
  {
    path: 'docs/verify.md',
    prepare: addSyncedCopy,
    equalAfter: [[/verify/, 'vg0/mail', 'vg1/mail']],
  },
  {
    path: 'docs/going-back.md',
    prepare: addSyncedCopy,
    // cycle-guide types it.
    leftOut: /rollback/,
    equalAfter: [[/--apply/, 'vg0/mail-snap', 'vg1/mail']],
  },
  {
    path: 'docs/migration.md',
    prepare: addThinVolume,
    equalAfter: [
      [/--snapback \/root\/mail.undo/, 'vg0/mail', 'vg1/mail'],
      [/mail-snap2/, 'vg0/mail', 'vg1/mail'],
      [/sparse,/, 'vg0/web', 'vg1/web'],
      [/web-snap2/, 'vg0/web-snap2', 'vg1/web'],
    ],
  },
  { path: 'docs/tuning.md', prepare: addCopy, equalAfter: [] },
  { path: 'docs/usage.md', prepare: addCopy, equalAfter: [] },
  { path: 'docs/json.md', prepare: addCopy, leftOut: /--metrics/, equalAfter: [] },
  { path: 'docs/json.md', prepare: addChain, leftOut: /--json/, equalAfter: [] },
];

function shellBlocks(path: string): string[] {
  const text = readFileSync(`${repository}${path}`, 'utf8');
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = '']) => block);
}

// README and some of the others for a commit: that their commands are words which the program takes is tested with all.
const random = new Random();
const [readme, ...others] = GUIDES;
for (const guide of [readme, ...someOf(others, 3, random)]) {
  describe(guide.path, { skip: SshServer.missing() ?? false }, () => typed(guide));
}

function typed({ path, prepare, leftOut, equalAfter }: Guide): void {
  const folder = scratchFolder();
  let server: SshServer;
  let here: TestVolumeGroup;
  let there: TestVolumeGroup;

  before(() => {
    useOwnStateFolder();
    server = SshServer.start();
    here = new TestVolumeGroup({ name: 'vg0', size: 200 * MiB });
    there = new TestVolumeGroup({ name: 'vg1', size: 120 * MiB });
    startService(here, folder);
    prepare?.({ here, there, folder, server });
  });
  after(() => {
    runTool(['umount', `${folder}/srv/mail`]);
    here.destroy();
    there.destroy();
    server.stop();
  });

  for (const block of shellBlocks(path)) {
    const [title = ''] = block.split('\n').filter((line) => !/^(#|$)/.test(line));
    if (leftOut?.test(block)) continue;
    test(`${title} ...`, () => {
      workGoesOn(folder);
      type(block, folder, server);
      for (const [pattern, ...devices] of equalAfter) {
        if (!pattern.test(block)) continue;
        const [one = '', other = ''] = devices.map((name) => `/dev/${name}`);
        tool('blockdev', '--flushbufs', one);
        tool('blockdev', '--flushbufs', other);
        assertSameContent(one, other);
      }
    });
  }
}

/** vg0/mail, with a file system that is in use. */
function startService(here: TestVolumeGroup, folder: string): void {
  tool('mkdir', '-p', `${folder}/srv/mail`, `${folder}/root`, `${folder}/backups`);
  const mail = here.createVolume('mail', 24 * MiB);
  tool('mkfs.ext4', '-q', mail.path);
  tool('mount', mail.path, `${folder}/srv/mail`);
}

/** vg1/mail, a copy of vg0/mail-snap. */
function addCopy({ here, there }: Setting): void {
  const snapshot = here.createSnapshot(here.volume('mail'), {
    name: 'mail-snap',
    chunkSize: 4 * KiB,
  });
  const copy = there.createVolume('mail', 24 * MiB);
  tool('dd', `if=${snapshot.path}`, `of=${copy.path}`, 'bs=4M', 'status=none', 'conv=fsync');
}

/** vg1/mail, equal to vg0/mail, which has come to rest; /root/mail.undo has what it held as a copy of vg0/mail-snap. */
function addSyncedCopy(setting: Setting): void {
  addCopy(setting);
  workGoesOn(setting.folder);
  const command = 'lvmsync --snapback /root/mail.undo vg0/mail-snap root@backup:/dev/vg1/mail';
  type(`umount /srv/mail\n${command}`, setting.folder, setting.server);
}

/** A chain whose newest point is vg1/mail, and the folder of the metrics. */
function addChain({ there, folder, server }: Setting): void {
  there.createVolume('mail', 24 * MiB);
  tool('mkdir', `${folder}/prometheus`);
  const command = 'lvmsync cycle vg0/mail root@backup:/dev/vg1/mail --init --size 20%';
  type(`${command} --snapback /var/backups/mail.chain`, folder, server);
}

/** vg0/web in vg0/pool, half full, and an empty vg1/pool. */
function addThinVolume({ here, there }: Setting): void {
  const web = new TestThinPool(here, { size: 40 * MiB, blockSize: 64 * KiB }).createVolume(
    'web',
    16 * MiB,
  );
  tool('dd', 'if=/dev/urandom', `of=${web.path}`, 'bs=1M', 'count=8', 'status=none', 'conv=fsync');
  new TestThinPool(there, { size: 40 * MiB, blockSize: 64 * KiB });
}

/** A new file, as long as the file system is mounted. */
function workGoesOn(folder: string): void {
  if (runTool(['mountpoint', '-q', `${folder}/srv/mail`]).status !== 0) return;
  const name = `${folder}/srv/mail/message`;
  tool('dd', 'if=/dev/urandom', `of=${name}`, 'bs=64K', 'count=16', 'status=none', 'conv=fsync');
}

function type(block: string, folder: string, server: SshServer): void {
  const script = block
    .replaceAll(/root@(backup|source)/g, `root@${HOST.right}`)
    .replaceAll(/(?<= )\/(srv|root)\//g, `${folder}/$1/`)
    .replaceAll('/var/backups', `${folder}/backups`)
    .replaceAll('/var/tmp', folder)
    .replaceAll('/var/lib/prometheus/node-exporter', `${folder}/prometheus`)
    .replaceAll('--size 5G', '--size 20M');
  const { status, stdout, stderr } = runTool(['bash', '-euxo', 'pipefail', '-c', script], {
    cwd: folder,
    env: { ...process.env, PATH: `${server.programs}:${process.env.PATH}` },
  });
  assert.equal(status, 0, `${script}\n${stdout}${stderr}`);
}
