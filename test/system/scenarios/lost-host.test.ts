import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { campaignSize } from '../../helpers/faults/campaign.js';
import { runTool } from '../../helpers/program/cli.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { repository } from '../harness/guest.js';
import { MiB, TestVolumeGroup } from '../harness/lvm.js';
import { HOST, SshServer } from '../harness/sshd.js';
import { useOwnStateFolder } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

const HEADING = '## When the host of the volume is lost';

/** What the section of docs/going-back.md tells to type. */
function blocks(): string[] {
  const text = readFileSync(`${repository}docs/going-back.md`, 'utf8');
  const [section = ''] = text.slice(text.indexOf(HEADING) + HEADING.length).split(/^## /m);
  return [...section.matchAll(/^```\n([\s\S]*?)^```/gm)].map(([, block = '']) => block);
}

const notNow = campaignSize({ commit: 0, release: 1 }) === 0 ? 'only for a release' : undefined;
const skip = notNow ?? SshServer.missing() ?? false;

test('docs/going-back.md: the copy goes on without its source, and back to a new host', {
  skip,
}, async () => {
  useOwnStateFolder();
  const folder = scratchFolder();
  const server = SshServer.start();
  const env = { ...process.env, PATH: `${server.programs}:${process.env.PATH}` };
  const here = (script: string): string =>
    script
      .replaceAll(/root@(backup|new)/g, `root@${HOST.right}`)
      .replaceAll('/srv/mail', `${folder}/srv/mail`)
      .replaceAll('/var/backups', `${folder}/backups`);
  const type = (script: string, expected = 0): string => {
    const argv = ['bash', '-euo', 'pipefail', '-c', here(script)];
    const { status, stdout, stderr } = runTool(argv, { env });
    assert.equal(status, expected, `${script}\n${stdout}${stderr}`);
    return `${stdout}${stderr}`;
  };
  tool('mkdir', '-p', `${folder}/srv/mail`, `${folder}/backups`);
  const old = new TestVolumeGroup({ name: 'vgold', size: 100 * MiB });
  const backup = new TestVolumeGroup({ name: 'vg1', size: 100 * MiB });
  const volume = old.createVolume('mail', 24 * MiB);
  backup.createVolume('mail', 24 * MiB);
  const words =
    'vgold/mail root@backup:/dev/vg1/mail --snapback /var/backups/mail.chain --size auto';
  type(`mkfs.ext4 -q ${volume.path}; mount ${volume.path} /srv/mail; echo one > /srv/mail/file`);
  type(`lvmsync cycle ${words} --init`);
  type('dd if=/dev/urandom of=/srv/mail/more bs=1M count=4 conv=fsync; echo two > /srv/mail/file');
  const cut = here(`exec timeout -s KILL 8 lvmsync cycle ${words} --bwlimit 200K`);
  await once(spawn('bash', ['-c', cut], { env, stdio: 'ignore' }), 'exit');
  type('umount /srv/mail');

  const [go, back, anew, ...more] = blocks();
  assert.deepEqual(more, []);
  assert.match(type(go ?? ''), /undoes what the unfinished cycle run/);
  assert.match(type('cat /srv/mail/file; echo three > /srv/mail/file'), /^one$/m);
  const fresh = new TestVolumeGroup({ name: 'vg0', size: 100 * MiB });
  type(back ?? '');
  type('mount /dev/vg0/mail /srv/mail; grep -q three /srv/mail/file');
  type(`lvmsync cycle ${words}`, EXIT.destinationUnfit);
  type(anew ?? '');
  type(`lvmsync cycle ${words}`, EXIT.sourceUnfit);
  assert.match(type(`lvmsync cycle --end ${words}`), /has ended/);
  type('umount /srv/mail');
  for (const group of [old, backup, fresh]) group.destroy();
  server.stop();
});
