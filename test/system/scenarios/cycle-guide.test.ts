import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { runTool } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { fillRandom, scattered, writeRandom } from '../harness/content.js';
import { repository } from '../harness/guest.js';
import { KiB, MiB, TestVolumeGroup } from '../harness/lvm.js';
import { HOST, SshServer } from '../harness/sshd.js';
import { useOwnStateFolder } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

/** What a document tells to type, block by block. */
function shellBlocks(path: string): string[] {
  const text = readFileSync(`${repository}${path}`, 'utf8');
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = '']) => block);
}

/** "enable --now" of the timer starts the service, as systemd would within the hour. */
function fakeSystemctl(configuration: string): string {
  const unit = readFileSync(`${repository}packaging/systemd/lvmsync-cycle@.service`, 'utf8');
  const [, environment = ''] = /^EnvironmentFile=(.*)$/m.exec(unit) ?? [];
  const [, command = ''] = /^ExecStart=\/usr\/bin\/(.*)$/m.exec(unit) ?? [];
  assert.match(environment, /%i/);
  assert.match(command, /^lvmsync cycle /);
  return `
    [ "$1 $2" = 'enable --now' ] || exit 1
    name=\${3#lvmsync-cycle@}; name=\${name%.timer}
    [ "$3" = "lvmsync-cycle@$name.timer" ] || exit 1
    . ${configuration}\${name}.conf
    ${command}`;
}

describe('docs/snapback.md, then docs/going-back.md', {
  skip: SshServer.missing() ?? false,
}, () => {
  test('its commands make an hourly snapback, and lead back and forward; then a run of several streams', () => {
    // The registry of copies is looked at: it is to have no others.
    useOwnStateFolder();
    const random = new Random();
    const folder = scratchFolder();
    const server = SshServer.start();
    const here = new TestVolumeGroup({ name: 'vg0', size: 80 * MiB });
    const there = new TestVolumeGroup({ name: 'vg1', size: 40 * MiB });
    const mail = here.createVolume('mail', 24 * MiB);
    fillRandom(mail.path, random, mail.size);
    server.addProgram('systemctl', fakeSystemctl(`${folder}/cycle/`));
    const env = { ...process.env, PATH: `${server.programs}:${process.env.PATH}` };
    const states: string[] = [];
    const backups = `${folder}/backups`;
    tool('mkdir', backups);

    const goingBack = shellBlocks('docs/going-back.md').filter((block) => /rollback/.test(block));
    const blocks = [...shellBlocks('docs/snapback.md'), ...goingBack];
    assert.equal(blocks.length, 5);
    for (const block of blocks) {
      const script = block
        .replaceAll('root@backup', `root@${HOST.right}`)
        .replaceAll('/var/backups', backups)
        .replaceAll('/etc/lvmsync', folder);
      const { status, stdout, stderr } = runTool(['bash', '-euxo', 'pipefail', '-c', script], {
        env,
      });
      assert.equal(status, 0, `${script}\n${stdout}${stderr}`);
      tool('blockdev', '--flushbufs', '/dev/mapper/vg1-mail');
      states.push(tool('sha256sum', '/dev/mapper/vg1-mail'));
      writeRandom(mail.path, random, scattered(random, mail.size, { count: 50, length: 4 * KiB }));
    }
    assert.equal(new Set(states).size, 3, 'three turns, and after them back and forward');
    assert.deepEqual(states.slice(3), [states[2], states[2]], 'a look at them changed nothing');

    const run = (...words: string[]): void => {
      const result = runTool(['lvmsync', ...words], { env });
      assert.equal(result.status, 0, `${words.join(' ')}\n${result.stderr}`);
    };
    const chain = `${backups}/mail.chain`;
    const copy = '/dev/vg1/mail';
    writeRandom(mail.path, random, scattered(random, mail.size, { count: 7, length: 512 * KiB }));
    const words = ['--snapback', chain, '--size', 'auto', '--streams', '3'];
    run('cycle', 'vg0/mail', `root@${HOST.right}:${copy}`, ...words);
    assert.match(tool('ls', chain), /\.3-of-3\.snapback/);
    tool('blockdev', '--flushbufs', mail.path, '/dev/mapper/vg1-mail');
    tool('cmp', mail.path, '/dev/mapper/vg1-mail');
    run('rollback', '--steps', '1', copy, chain);
    tool('blockdev', '--flushbufs', '/dev/mapper/vg1-mail');
    assert.equal(tool('sha256sum', '/dev/mapper/vg1-mail'), states.at(-1), 'one step back');

    here.destroy();
    there.destroy();
    server.stop();
  });
});
