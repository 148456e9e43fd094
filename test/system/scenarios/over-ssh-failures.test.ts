import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { after, before, beforeEach, describe } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { DrawnTests } from '../../helpers/faults/campaign.js';
import { assertFails, type CliResult, lvmsync } from '../../helpers/program/cli.js';
import { withThickCopy } from '../harness/copies.js';
import { MiB } from '../harness/lvm.js';
import { becomesFree, HOST, SshServer } from '../harness/sshd.js';
import { tool } from '../harness/tool.js';

for (const transport of ['command', 'ssh2'] as const) {
  describe(
    `over ssh with --transport ${transport}`,
    {
      skip: SshServer.missing() ?? false,
    },
    () => runOver(transport),
  );
}

function runOver(transport: 'command' | 'ssh2'): void {
  const lab = withThickCopy({ changes: 1000, elsewhere: true });
  const { folder } = lab;
  const tests = new DrawnTests();
  const { scenario } = tests;
  let server: SshServer;

  before(() => {
    server = SshServer.start();
  });
  beforeEach(() => lab.restore());
  after(() => server.stop());

  const sending = (host: string, ...options: string[]): CliResult =>
    lvmsync(['--transport', transport, ...options, lab.snapshot.path, `${host}:${lab.copy.path}`]);
  const assertCompletes = (...options: string[]): CliResult => {
    const result = sending(HOST.right, '--require-ack', ...options);
    assert.equal(result.status, 0, result.stderr);
    lab.assertEqual();
    return result;
  };

  const unreachable: readonly [title: string, host: string, message: RegExp, hint: RegExp][] = [
    [
      'a host with another key than the known one',
      HOST.changed,
      /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed/,
      /^.*Find out why before you remove the old one with ssh-keygen -R\./m,
    ],
    [
      'an unknown host',
      HOST.unknown,
      /Host key verification failed/,
      /^.*onnect once by hand with ssh, compare the key, and accept it\./m,
    ],
    [
      'a user whose login is refused',
      `nobody@${HOST.right}`,
      /Permission denied/,
      /^.*[Cc]heck the user name, the key, and ssh-agent/m,
    ],
    [
      'a port where nobody listens',
      HOST.relayed,
      /refused|ECONNREFUSED/,
      /^.*[Cc]heck (the name of the host, )?the network and the ssh server there\./m,
    ],
    [
      'a host that does not exist',
      'host.invalid',
      /resolve|ENOTFOUND|EAI_AGAIN|not known/,
      /^.*Check the name of the host/m,
    ],
  ];
  for (const [title, host, message, hint] of unreachable) {
    scenario(`${title} is a failed connection, with a hint`, () => {
      const result = sending(host);
      assertFails(result, EXIT.transport, /./);
      assert.match(result.stderr, message);
      assert.match(result.stderr, hint);
      assert.match(result.stderr, /^Nothing was written there\.$/m);
      assert.doesNotMatch(result.stderr, /incomplete|to complete it/);
      lab.assertUntouched();
    });
  }

  scenario('a host without lvmsync is a failure that names the remedy', () => {
    const result = sending(HOST.bare);
    assertFails(result, EXIT.transport, /was not found \(status 127\)/);
    assert.match(result.stderr, /lvmsync: (command )?not found/);
    assert.match(result.stderr, /Install lvmsync there, or name it with --remote-path\./);
    assert.match(result.stderr, /Nothing was written there\./);
    lab.assertUntouched();
  });

  const impostors: readonly [title: string, script: string][] = [
    ['ends with status 0 at once', 'exit 0'],
    ['ends with status 0 after some of the data', 'head -c 100000 >/dev/null; exit 0'],
    ['ends with status 0 after a greeting', 'echo "lvmsync-result 1 ok"; exit 0'],
  ];
  for (const [title, script] of impostors) {
    scenario(`a remote side that ${title} is a failure`, () => {
      const result = sending(HOST.right, '--remote-path', server.addProgram('impostor', script));
      // Whether the rest still fitted on the way is a matter of moments.
      assertFails(
        result,
        EXIT.transport,
        /ended before everything was sent|did not read the last \d+ bytes/,
      );
      lab.assertUntouched();
    });
  }

  scenario(
    'a remote side that swallows everything and ends with 0 is a failure with --require-ack',
    () => {
      const path = server.addProgram('impostor', 'cat >/dev/null');
      const result = sending(HOST.right, '--require-ack', '--remote-path', path);
      assertFails(result, EXIT.transport, /did not confirm/);
      lab.assertUntouched();
    },
  );

  scenario('a remote side that a signal ends is a failure', () => {
    const path = server.addProgram('impostor', 'head -c 100000 >/dev/null; kill -KILL $$');
    assertFails(sending(HOST.right, '--remote-path', path), EXIT.transport, /remote command|KILL/);
    lab.assertUntouched();
  });

  scenario(
    'a receiver that stops reading is given up after --timeout, and a new run completes',
    async () => {
      const pidFile = `${folder}/stopped`;
      const path = server.addProgram(
        'stopping',
        `{ head -c 500000; sh -c 'echo $PPID >${pidFile}; kill -STOP $PPID'; :; } | lvmsync "$@"`,
      );
      const result = sending(HOST.right, '--remote-path', path, '--timeout', '8');
      const stopped = Number(readFileSync(pidFile, 'utf8'));
      assert.match(readFileSync(`/proc/${stopped}/status`, 'utf8'), /^State:\tT/m, 'it is stopped');
      assertFails(result, EXIT.transport, /nothing moved for 8 s/);
      assert.match(result.stderr, /may be incomplete/);

      process.kill(stopped, 'SIGKILL');
      await becomesFree(lab.copy.path);
      assertCompletes();
    },
  );

  scenario('a receiver that floods is shown in part and completes', () => {
    const lines = 200_000;
    const path = server.addProgram(
      'flooding',
      `yes stdout | head -n ${lines}; yes stderr | head -n ${lines} >&2 & lvmsync "$@"; wait`,
    );
    const started = performance.now();
    const { stderr } = assertCompletes('--remote-path', path);
    const seconds = (performance.now() - started) / 1000;
    const shown = stderr.match(/^remote:std(out|err)$/gm)?.length ?? 0;
    assert.ok(shown > 0 && shown <= 200 * (seconds + 2), `${shown} lines in ${seconds} seconds`);
  });

  scenario(
    'a receiver that prints one endless line completes, and the line is shown in part',
    () => {
      const path = server.addProgram(
        'endless',
        `head -c 20000000 /dev/zero | tr '\\0' x >&2 & lvmsync "$@"; wait`,
      );
      const { stderr } = assertCompletes('--remote-path', path);
      assert.match(stderr, /^remote:x{1000}/m);
      assert.ok(stderr.length < 10_000_000, `${stderr.length} characters are shown`);
    },
  );

  scenario('escape sequences of a receiver reach nobody, nor do those of its last words', () => {
    const sequences = String.raw`printf '\033[2J\033]0;title\007\233A\r\010above\342\200\256gnp\n'`;
    const good = server.addProgram('coloured', `${sequences}; ${sequences} >&2; exec lvmsync "$@"`);
    assertHarmless(assertCompletes('--remote-path', good).stderr);

    const bad = server.addProgram('coloured', `${sequences} >&2; exit 3`);
    // What was not shown before, the message repeats.
    const result = sending(HOST.right, '-q', '--remote-path', bad);
    assertFails(result, EXIT.transport, /title/);
    assertHarmless(result.stderr);
  });

  scenario('a smaller destination gives the same exit status as here', () => {
    const small = lab.there.createVolume('small', 12 * MiB);
    const words = ['--transport', transport, lab.snapshot.path, `${HOST.right}:${small.path}`];
    const result = lvmsync(words);
    lab.there.remove(small);
    assertFails(result, EXIT.destinationUnfit, /localhost: .*too small/i);
    assert.match(result.stderr, /Nothing was written there\./);
  });

  scenario('a mounted destination gives the same exit status as here', () => {
    const mountPoint = `${folder}/mounted`;
    mkdirSync(mountPoint);
    tool('mkfs.ext4', '-q', lab.copy.path);
    tool('mount', '-o', 'ro', lab.copy.path, mountPoint);
    try {
      const result = sending(HOST.right);
      assertFails(result, EXIT.destinationUnfit, /localhost: .*(mounted|in use)/i);
      assert.match(result.stderr, /Nothing was written there\./);
    } finally {
      tool('umount', mountPoint);
    }
  });

  scenario('a missing destination gives the same exit status as here', () => {
    const result = lvmsync([
      ...['--transport', transport],
      ...[lab.snapshot.path, `${HOST.right}:/dev/vg2/missing`],
    ]);
    assertFails(result, EXIT.destinationUnfit, /missing/);
  });

  scenario('an existing snapback gives the same exit status as here', () => {
    const result = sending(HOST.right, '--snapback', lab.untouched);
    assertFails(result, EXIT.snapback, /untouched/);
    lab.assertUntouched();
  });

  // They differ in how they connect: of the second one some, for a commit.
  tests.run(transport === 'command' ? 30 : 3, lab.random);
}

/** No control character but the line ends, no mark that changes the reading order. */
function assertHarmless(text: string): void {
  assert.match(text, /title/);
  assert.doesNotMatch(text, /[^\P{C}\n]/u);
}
