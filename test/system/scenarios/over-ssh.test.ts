import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { after, before, beforeEach, describe, type TestContext, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { DrawnTests } from '../../helpers/faults/campaign.js';
import { CLI, type CliResult, lvmsync, runTool } from '../../helpers/program/cli.js';
import { assertDifferentContent, saveContent } from '../harness/content.js';
import { withThickCopy } from '../harness/copies.js';
import { type LogicalVolume, MiB } from '../harness/lvm.js';
import { HOST, hasIpv6, SshServer } from '../harness/sshd.js';
import { tool } from '../harness/tool.js';

/** Both reach the same server: ssh, and the built-in client. */
const TRANSPORTS = ['command', 'ssh2'] as const;

describe('a sync to another host over ssh', { skip: SshServer.missing() ?? false }, () => {
  const lab = withThickCopy({ size: 24 * MiB, names: ['mail', 'mail'], elsewhere: true });
  const { folder } = lab;
  const snapback = `${folder}/mail.undo`;
  let server: SshServer;

  before(() => {
    server = SshServer.start();
  });
  beforeEach(() => rmSync(snapback, { force: true }));
  after(() => server.stop());

  /** A snapshot, its content at the other host, and then writes. */
  const presynced = (t: TestContext): LogicalVolume => {
    saveContent(lab.origin.path, lab.copy.path);
    const snapshot = lab.createSnapshot({ name: 'mail-snap', until: t });
    lab.change(300);
    assertDifferentContent(lab.origin.path, lab.copy.path);
    return snapshot;
  };
  /** Sends to the copy at `host`; the receiver must confirm what it wrote. */
  const sends = (host: string, ...options: string[]): CliResult => {
    const words = [...options, '--require-ack', '/dev/vg0/mail-snap', `${host}:${lab.copy.path}`];
    const result = lvmsync(words);
    assert.equal(result.status, 0, `lvmsync ${words.join(' ')}:\n${result.stderr}`);
    lab.assertEqual();
    return result;
  };
  /** What a person types into a shell; the first command that fails ends it. */
  const typed = (script: string): CliResult => {
    const PATH = `${server.programs}:${process.env.PATH}`;
    const result = runTool(['bash', '-euxo', 'pipefail', '-c', script], {
      env: { ...process.env, PATH },
    });
    assert.equal(result.status, 0, result.stderr);
    return result;
  };

  for (const transport of TRANSPORTS) {
    describe(`with --transport ${transport}`, () => {
      const tests = new DrawnTests();
      const { scenario } = tests;

      scenario(
        'two hosts: a copy while the service runs, then only what changed; and back again',
        (t) => {
          typed(`
          lvcreate --snapshot --size 24M --name mail-snap vg0/mail
          dd if=/dev/vg0/mail-snap bs=1M | ssh root@localhost dd of=/dev/vg2/mail bs=1M conv=fsync
        `);
          t.after(() => tool('lvremove', '-q', '-f', 'vg0/mail-snap'));
          lab.change(300);
          assertDifferentContent(lab.origin.path, lab.copy.path);
          lab.keep();

          typed(
            `lvmsync --transport ${transport} --snapback ${snapback} /dev/vg0/mail-snap root@localhost:/dev/vg2/mail`,
          );
          lab.assertEqual();

          typed(`ssh root@localhost lvmsync --apply ${snapback} /dev/vg2/mail`);
          lab.assertUntouched();
        },
      );

      scenario('without a snapback, the snapshot named as vg/lv', (t) => {
        presynced(t);
        const { stderr } = lvmsync([
          ...['--transport', transport],
          ...['vg0/mail-snap', `root@${HOST.right}:/dev/vg2/mail`],
        ]);
        lab.assertEqual();
        assert.match(stderr, /^Transferred [1-9]\d* bytes in [\d.]+ seconds$/m);
      });

      scenario('a classic stream, which no receiver confirms', (t) => {
        presynced(t);
        const { status, stderr } = lvmsync([
          ...['--transport', transport, '--format', 'classic'],
          ...['/dev/vg0/mail-snap', `${HOST.right}:${lab.copy.path}`],
        ]);
        assert.equal(status, 0, stderr);
        assert.match(stderr, /does not confirm/);
        lab.assertEqual();
      });

      scenario('no change at all', (t) => {
        saveContent(lab.origin.path, lab.copy.path);
        lab.createSnapshot({ name: 'mail-snap', until: t });
        assert.match(sends(HOST.right, '--transport', transport).stderr, /^Transferred 0 bytes/m);
      });

      scenario('an IPv6 address in brackets', (t) => {
        if (!hasIpv6()) {
          t.skip('this kernel has no IPv6');
          return;
        }
        presynced(t);
        sends('root@[::1]', '--transport', transport);
      });

      scenario(
        '--remote-path names the program there, in a folder whose name needs quotes',
        (t) => {
          presynced(t);
          tool('mkdir', '-p', `${server.programs}/it's "here" $HOME`);
          const path = server.addProgram(
            `it's "here" $HOME/lvmsync`,
            `touch ${folder}/used; exec ${process.execPath} ${CLI} "$@"`,
          );
          sends(HOST.bare, '--transport', transport, '--remote-path', path);
          assert.ok(existsSync(`${folder}/used`));
          rmSync(`${folder}/used`);
        },
      );

      scenario('--sudo runs the receiver through sudo -n', (t) => {
        presynced(t);
        server.addProgram(
          'sudo',
          `printf "%s\\n" "$*" >${folder}/sudo-log; [ "$1" = -n ] && shift && "$@"`,
        );
        sends(HOST.right, '--transport', transport, '--sudo');
        assert.equal(
          readFileSync(`${folder}/sudo-log`, 'utf8'),
          `-n lvmsync --apply - ${lab.copy.path}\n`,
        );
        rmSync(`${folder}/sudo-log`);
      });

      scenario('a sudo that wants a password is a failure with a hint', (t) => {
        presynced(t);
        server.addProgram('sudo', 'echo "sudo: a password is required" >&2; exit 1');
        const { status, stderr } = lvmsync([
          ...['--transport', transport, '--sudo'],
          ...['/dev/vg0/mail-snap', `${HOST.right}:${lab.copy.path}`],
        ]);
        assert.equal(status, EXIT.transport, stderr);
        assert.match(stderr, /sudo refused to run lvmsync there.*NOPASSWD/s);
      });

      // They differ in how they connect: of the second one some, for a commit.
      tests.run(transport === 'command' ? 8 : 2, lab.random);
    });
  }

  test('a ControlMaster that stays behind does not hold the run up', (t) => {
    presynced(t);
    const socket = `${folder}/master`;
    const shared = `ssh -o ControlMaster=auto -o ControlPath=${socket} -o ControlPersist=60`;
    t.after(() => runTool(['ssh', '-o', `ControlPath=${socket}`, '-O', 'exit', HOST.right]));
    for (const round of ['that starts it', 'that finds it']) {
      sends(HOST.right, '--rsh', shared);
      // It ends by itself only after a minute: who waits for it finds it gone.
      const check = runTool(['ssh', '-o', `ControlPath=${socket}`, '-O', 'check', HOST.right]);
      assert.equal(check.status, 0, `after the run ${round}: ${check.stderr}`);
    }
  });

  test('--push-helper lends a host without lvmsync one for the run, which leaves nothing there', (t) => {
    presynced(t);
    const calls = `${folder}/calls`;
    const script = `echo "$0" >>${calls}; exec ${process.execPath} ${CLI} "$@"`;
    const lent = server.addProgram('lent', script);
    const { stderr } = sends(HOST.bare, '--push-helper', lent, '--streams', '2');
    assert.match(stderr, /^127\.0\.0\.4 has no lvmsync: sending .*lent for this run$/m);
    assert.ok(readFileSync(calls, 'utf8').startsWith(`${server.temporary}/`));
    assert.deepEqual(readdirSync(server.temporary), []);
  });

  test('pull mode: the changes are fetched from the host of the snapshot', (t) => {
    presynced(t);
    typed('ssh localhost lvmsync --stdout vg0/mail-snap | lvmsync --apply - /dev/vg2/mail');
    lab.assertEqual();
  });
});
