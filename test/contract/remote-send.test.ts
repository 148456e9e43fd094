/** `lvmsync SNAPSHOT HOST:DESTINATION` with programs in the place of ssh: good ones and bad ones. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertFails, assertSucceeds, CLI, lvmsync, runTool } from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';

const fixture = new RemoteFixture();
const LIAR = fileURLToPath(new URL('../helpers/remote/fake-rsh-liar.js', import.meta.url));
/** Makes a node say at its end how much memory it had. */
const SAY_PEAK =
  'data:text/javascript,process.on("exit",()=>console.error("peak",process.resourceUsage().maxRSS))';
/** Makes a node say at its end whether it had loaded ssh2. */
const SAY_LOADED =
  'data:text/javascript,import M from "node:module";process.on("exit",()=>console.error("ssh2",Object.keys(M._cache).some((path)=>path.includes("/ssh2/"))))';
/** What ssh 9.2 says. */
const CHANGED_KEY = `\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Please contact your system administrator.
Add correct host key in /root/.ssh/known_hosts to get rid of this message.
Offending ED25519 key in /root/.ssh/known_hosts:1
Host key for backup has changed and you have requested strict checking.
Host key verification failed.`;
const UNVERIFIED = /WARNING: backup: the receiver does not confirm what it wrote/;

function wordsOf(argvFile: string): string[] {
  return readFileSync(argvFile, 'utf8').split('\n').slice(0, -1);
}

describe('a receiver that behaves', () => {
  test('is given what changed, confirms it, and both last lines are printed once', () => {
    const destination = fixture.copy();
    const rsh = fixture.goodRsh();
    const result = fixture.send(rsh, destination);
    assertSucceeds(result);
    assert.ok(fixture.isSynced(destination));
    assert.doesNotMatch(result.stderr, /WARNING/);
    assert.equal(result.stderr.match(/^Transferred 290816 bytes in /gm)?.length, 1);
    assert.equal(result.stderr.match(/x faster than a full dd!$/gm)?.length, 1);
    assert.equal(result.stdout.length, 0);
    assert.deepEqual(wordsOf(rsh.argvFile), ['backup', 'lvmsync', '--apply', '-', destination]);
  });

  test('passes --require-ack', () => {
    const destination = fixture.copy();
    assertSucceeds(
      fixture.send(fixture.goodRsh(), destination, '--require-ack', '--timeout', '60'),
    );
    assert.ok(fixture.isSynced(destination));
  });

  test('keeps a snapback there, with which the run is undone there', () => {
    const destination = fixture.copy();
    const snapback = fixture.path('undo');
    const rsh = fixture.goodRsh();
    assertSucceeds(fixture.send(rsh, destination, '--snapback', snapback));
    assert.ok(fixture.isSynced(destination));
    const words = ['backup', 'lvmsync', '--apply', '-', '--snapback', snapback, destination];
    assert.deepEqual(wordsOf(rsh.argvFile), words);
    assertFails(
      fixture.send(rsh, destination, '--snapback', snapback),
      16,
      /^FATAL ERROR: backup: /,
    );
    assertSucceeds(fixture.send(rsh, destination, '-b', snapback, '--snapback-overwrite'));
    assertSucceeds(lvmsync(['--apply', snapback, destination]));
    assert.ok(fixture.isSynced(destination), 'the second run had nothing to save but the new data');
  });

  test('undoes the run with the snapback of that run', () => {
    const destination = fixture.copy();
    const snapback = fixture.path('undo-once');
    assertSucceeds(fixture.send(fixture.goodRsh(), destination, '-b', snapback));
    assertSucceeds(lvmsync(['--apply', snapback, destination]));
    assert.ok(fixture.isUntouched(destination));
  });

  for (const [option, there, heard] of [
    ['-v', '--verbose', /^remote:.*I\/O through/m],
    ['-d', '--debug', /^remote:.*I\/O through/m],
    ['-q', '--quiet', /^$/],
  ] as const) {
    test(`is told ${option}`, () => {
      const rsh = fixture.goodRsh();
      const result = fixture.send(rsh, fixture.copy(), option);
      assertSucceeds(result);
      assert.ok(wordsOf(rsh.argvFile).includes(there));
      assert.match(result.stderr, heard);
    });
  }

  test('is sent a classic stream where that is asked for, and then cannot confirm', () => {
    const destination = fixture.copy();
    const result = fixture.send(fixture.goodRsh(), destination, '--format', 'classic');
    assertSucceeds(result);
    assert.ok(fixture.isSynced(destination));
    assert.match(result.stderr, UNVERIFIED);
    const strict = ['--format', 'classic', '--require-ack'];
    assertFails(fixture.send(fixture.goodRsh(), destination, ...strict), 17, /did not confirm/);
  });

  test('runs through sudo and by another name where it is asked to', () => {
    const destination = fixture.copy();
    const tools = fixture.path('bin');
    writeFileSync(`${tools}/sudo`, '#!/bin/sh\n[ "$1" = -n ] || exit 9\nshift\nexec "$@"\n', {
      mode: 0o755,
    });
    const rsh = fixture.goodRsh();
    const name = `${tools}/lvmsync`;
    assertSucceeds(fixture.send(rsh, destination, '--sudo', '--remote-path', name));
    assert.ok(fixture.isSynced(destination));
    assert.deepEqual(wordsOf(rsh.argvFile).slice(1, 4), ['sudo', '-n', name]);
  });

  test('F47: where sudo refuses, that is said, in whatever language, and that nothing was written', () => {
    const destination = fixture.copy();
    const tools = fixture.path('no-bin');
    mkdirSync(tools);
    const refusal =
      '#!/bin/sh\necho Sitzung >&1\necho "sudo: Ein Passwort ist notwendig" >&2\nexit 1\n';
    writeFileSync(`${tools}/sudo`, refusal, { mode: 0o755 });
    const rsh = fixture.rsh(`PATH='${tools}':$PATH; exec sh -c "$line"`);
    for (const more of [[], ['--dry-run'], ['--snapback', fixture.path('no-undo')]]) {
      const result = fixture.send(rsh, destination, '--sudo', ...more);
      assertFails(result, 17, /sudo refused to run lvmsync there \(status 1\)/);
      assert.match(result.stderr, /^remote:sudo: Ein Passwort ist notwendig$/m);
      assert.match(result.stderr, /NOPASSWD/);
      if (more[0] !== '--dry-run') assert.match(result.stderr, /Nothing was written there\./);
      assert.ok(fixture.isUntouched(destination));
    }
  });

  test('fails with its own status and words, which are told once more at the end', () => {
    const result = fixture.send(fixture.goodRsh(), fixture.path('absent'));
    assertFails(result, 12, /^FATAL ERROR: backup: .*absent/);
    assert.match(result.stderr, /Nothing was written there\./);
  });
});

describe('a receiver that answers', () => {
  const READY = 'lvmsync-ready 1 ID';
  const OK = 'lvmsync-result 1 ID ok OK';
  const STRANGER = '0'.repeat(32);
  const verified: readonly [what: string, lines: string[]][] = [
    ['ready and the right result', [READY, OK]],
    ['the result only', [OK]],
    ['ready with features that nobody knows', [`${READY} zstd x=y`, OK]],
    [
      'a result of another stream before its own',
      [`lvmsync-result 1 ${STRANGER} failed 12 x`, READY, OK],
    ],
    ['with a greeting before it', ['Welcome!', READY, OK]],
  ];
  for (const [what, lines] of verified) {
    test(`${what} is believed`, () => {
      const rsh = liar(0, lines);
      const result = fixture.send(rsh, '/x', '--require-ack');
      assertSucceeds(result);
      assert.doesNotMatch(result.stderr, UNVERIFIED);
    });
  }

  const refused: readonly [what: string, status: number, lines: string[], exit: number, RegExp][] =
    [
      ['nothing after ready', 0, [READY], 17, /without its result/],
      ['other totals', 0, [READY, `lvmsync-result 1 ID ok 1 2 ${STRANGER}`], 17, /other data/],
      [
        'another digest',
        0,
        [READY, `lvmsync-result 1 ID ok 71 290816 ${STRANGER}`],
        17,
        /other data/,
      ],
      [
        'the result of another stream',
        0,
        [READY, `lvmsync-result 1 ${STRANGER} ok 71 290816 0`],
        17,
        /without its result/,
      ],
      ['half a result', 0, [READY, 'lvmsync-result 1 ID ok'], 17, /cannot be read/],
      [
        'failed 12',
        12,
        [READY, 'lvmsync-result 1 ID failed 12 it is mounted'],
        12,
        /backup: it is mounted/,
      ],
      ['failed 12 and status 0', 0, ['lvmsync-result 1 ID failed 12 it is mounted'], 12, /mounted/],
      ['failed 0', 0, ['lvmsync-result 1 ID failed 0 no'], 17, /backup: no/],
      ['failed 999', 1, ['lvmsync-result 1 ID failed 999 no'], 17, /backup: no/],
      ['the right result but ends with 1', 1, [READY, OK], 17, /status 1/],
      [
        'the right result and then a failure',
        0,
        [READY, OK, 'lvmsync-result 1 ID failed 13 late'],
        13,
        /late/,
      ],
    ];
  for (const [what, status, lines, exit, message] of refused) {
    test(`${what}, makes exit status ${exit}`, () => {
      assertFails(fixture.send(liar(status, lines), '/x'), exit, message);
    });
  }

  test('nothing at all is taken for an old one, unless a confirmation is required', () => {
    const result = fixture.send(liar(0, []), '/x');
    assertSucceeds(result);
    assert.match(result.stderr, UNVERIFIED);
    const strict = fixture.send(liar(0, []), '/x', '--require-ack');
    assertFails(strict, 17, /did not confirm/);
    assert.doesNotMatch(strict.stderr, /^Transferred /m);
  });

  function liar(status: number, lines: readonly string[]) {
    const words = [String(status), ...lines].map((word) => `'${word}'`).join(' ');
    return fixture.rsh(`exec '${process.execPath}' '${LIAR}' ${words}`);
  }
});

describe('a remote side that fails', () => {
  const failures: readonly [what: string, body: string, message: RegExp, hint?: RegExp][] = [
    // Which of the two depends on how much of the stream had found room in the pipe by then.
    ['ends with 0 at once', 'exit 0', /before everything was sent|did not read the last \d+ bytes/],
    [
      'ends with 0 in the middle',
      'head -c 100000 > /dev/null; exit 0',
      /before everything was sent|did not read the last \d+ bytes/,
    ],
    ['ends with 1', 'cat > /dev/null; exit 1', /status 1\. APPLY FAILED/],
    [
      'ends with 126',
      'echo "sh: lvmsync: Permission denied" >&2; exit 126',
      /status 126/,
      /--sudo/,
    ],
    ['was not found', 'exec sh -c "no-such-$line"', /\(status 127\)$/, /--remote-path/],
    [
      'cannot be reached',
      'echo "ssh: Could not resolve hostname backup: Name or service not known" >&2; exit 255',
      /could not be reached/,
      /Check the name/,
    ],
    [
      'has another key',
      `cat >&2 <<'EOF'\n${CHANGED_KEY}\nEOF\nexit 255`,
      /could not be reached/,
      /Find out why before you remove the old one with ssh-keygen -R/,
    ],
    ['is killed', 'head -c 1000 > /dev/null; kill -KILL $$', /was ended by SIGKILL/],
    [
      'takes everything and is then killed',
      'cat > /dev/null; kill -TERM $$',
      /was ended by SIGTERM/,
    ],
    [
      'leaves a process that holds the input open',
      'sleep 600 <&0 & echo $! > left; exit 0',
      /before everything was sent/,
    ],
  ];
  for (const [what, body, message, hint] of failures) {
    test(`${what}: exit status 17`, () => {
      const left = fixture.path('left');
      const result = fixture.send(fixture.rsh(`cd '${fixture.folder}'\n${body}`), '/x');
      if (existsSync(left)) process.kill(Number(readFileSync(left, 'utf8')));
      assertFails(result, 17, message);
      if (hint !== undefined) assert.match(result.stderr, hint);
    });
  }

  test('says once what ssh says, whether that is shown before or not', () => {
    const words = 'ssh: Could not resolve hostname backup: Name or service not known';
    const rsh = fixture.rsh(`echo "${words}" >&2; exit 255`);
    for (const [more, expected] of [
      [[], /^remote:ssh: Could not resolve .*\nFATAL ERROR: backup: .* \(status 255\)\n/],
      [['--dry-run'], /^remote:ssh: Could not resolve .*\nFATAL ERROR: backup: .*255\)\n/],
      [['-q'], /^FATAL ERROR: backup: .* \(status 255\) \(its output: ssh: Could not resolve/],
    ] as const) {
      const { stderr } = fixture.send(rsh, '/x', ...more);
      assert.match(stderr, expected);
      assert.equal(stderr.match(/Could not resolve/g)?.length, 1, stderr);
    }
    const { stderr } = fixture.send(rsh, '/x', '--json');
    const { type, message } = JSON.parse(stderr.trim().split('\n').at(-1) ?? '');
    assert.equal(type, 'fatal');
    assert.match(message, /Could not resolve/, 'for a program it stands by itself');
  });

  test('F9: never came to a connection: nothing was written there', () => {
    for (const words of [[], ['--format=classic']]) {
      const rsh = fixture.rsh(`echo "Can't open user config file /x" >&2; exit 255`);
      const result = fixture.send(rsh, '/x', ...words);
      assertFails(result, 17, /could not be reached/);
      assert.match(result.stderr, /^Nothing was written there\.$/m);
      assert.doesNotMatch(result.stderr, /may be incomplete/);
    }
  });

  test('is not there, because the program that stands for ssh is not', () => {
    const result = lvmsync([...fixture.source, '-e', '/absent/ssh -v', 'backup:/x']);
    assertFails(result, 17, /\/absent\/ssh: cannot be started/);
  });

  test('dies after any number of bytes: never status 0, and a further run completes', () => {
    const random = new Random();
    const destination = fixture.copy();
    for (let round = 0; round < 50; round++) {
      const bytes = random.below(290_000);
      const result = fixture.send(
        fixture.rsh(`head -c ${bytes} | sh -c "$line"; exit 255`),
        destination,
      );
      assert.ok(
        [14, 17].includes(result.status ?? 0),
        `${bytes}: ${result.status} ${result.stderr}`,
      );
      assert.ok(fixture.isMixed(destination), `${bytes}: half a chunk`);
    }
    assertSucceeds(fixture.send(fixture.goodRsh(), destination));
    assert.ok(fixture.isSynced(destination));
  });
});

describe('a remote side that talks', () => {
  test('too much, on both outputs, neither stops the data nor fills the memory', () => {
    const destination = fixture.copy();
    const flood = `yes "$(head -c 99 /dev/zero | tr '\\0' x)" | head -c 50000000`;
    const status = fixture.path('flood-status');
    // Through cat, because node makes its outputs non-blocking for all who share them.
    const receiver = `{ sh -c "$line"; echo $? > '${status}'; } 2>&1 >&3 | cat >&2`;
    const rsh = fixture.rsh(
      `${flood} &\n${flood} >&2 &\n{ ${receiver}; } 3>&1 | cat\nwait\nexit $(cat '${status}')`,
    );
    const words = [...fixture.source, '-e', rsh.command, `backup:${destination}`];
    const result = runTool([process.execPath, '--import', SAY_PEAK, CLI, ...words]);
    assertSucceeds(result);
    assert.ok(fixture.isSynced(destination));
    const leftOut = [...result.stderr.matchAll(/^remote:\((\d+) lines left out\)$/gm)];
    const hidden = leftOut.reduce((sum, [, lines]) => sum + Number(lines), 0);
    const shown = result.stderr.match(/^remote:x/gm)?.length ?? 0;
    // Each of the two answers may fall into a line of the flood and so make two of it.
    const lines = hidden + shown - 2 * 500_000;
    assert.ok(lines >= 0 && lines <= 2, `${hidden + shown} lines were read`);
    assert.ok(shown < hidden / 10);
    const peak = Number(/peak (\d+)/.exec(result.stderr)?.[1]);
    assert.ok(peak < 300_000, `${peak} KiB at its peak`);
  });

  test('without ending its line does not hide the answer behind it', () => {
    const destination = fixture.copy();
    const rsh = fixture.rsh(`printf 'Welcome to backup'\nexec sh -c "$line"`);
    const { status, stderr } = fixture.send(rsh, destination, '--require-ack');
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^remote:Welcome to backup$/m);
    assert.ok(fixture.isSynced(destination));
  });

  test('in escape sequences is shown without them', () => {
    const rsh = fixture.rsh(`printf '\\033[2J\\007\\302\\2332J\\ttext\\n' >&2\nexec sh -c "$line"`);
    const result = fixture.send(rsh, fixture.copy());
    assertSucceeds(result);
    assert.match(result.stderr, /^remote:\\x1b\[2J\\x07\\x9b2J\\ttext$/m);
    assert.doesNotMatch(result.stderr, /[^\n -~]/);
  });

  test('in a line that never ends is shown in pieces', () => {
    const rsh = fixture.rsh(`head -c 1000000 /dev/zero | tr '\\0' x\nexec sh -c "$line"`);
    const result = fixture.send(rsh, fixture.copy());
    // The last piece and the answer that follows it are one line to us.
    const lines = result.stderr.split('\n');
    assert.ok(lines.every((line) => line.length < 8300));
    assert.ok(lines.filter((line) => line.startsWith('remote:xxx')).length > 100);
  });

  test('through a process that keeps its output open after the end does not hold us', () => {
    const destination = fixture.copy();
    const left = fixture.path('left-talking');
    const rsh = fixture.rsh(`sleep 600 & echo $! > '${left}'\nexec sh -c "$line"`);
    const result = fixture.send(rsh, destination);
    process.kill(Number(readFileSync(left, 'utf8')));
    assertSucceeds(result);
    assert.ok(fixture.isSynced(destination));
  });
});

describe('where the destination is', () => {
  test('an IPv6 address in brackets and a user are given to ssh as it wants them', () => {
    const rsh = fixture.goodRsh();
    const destination = fixture.copy();
    const name = `root@[fe80::1%eth0]:${destination}`;
    assertSucceeds(lvmsync([...fixture.source, '-e', rsh.command, name]));
    assert.equal(wordsOf(rsh.argvFile)[0], 'root@fe80::1%eth0');
    assert.ok(fixture.isSynced(destination));
  });

  test('a path with a colon behind a slash is local', () => {
    const rsh = fixture.goodRsh();
    const destination = fixture.copy('pci-0000:00:1f.2');
    assertSucceeds(lvmsync([...fixture.source, '-e', rsh.command, destination]));
    assert.ok(fixture.isSynced(destination));
    assert.equal(existsSync(rsh.argvFile), false);
  });

  test('changes can be fetched from there instead', () => {
    const destination = fixture.copy();
    const rsh = fixture.goodRsh();
    const far = [...fixture.source, '--stdout'].map((word) => `'${word}'`).join(' ');
    const pull = `set -o pipefail; ${rsh.command} backup lvmsync ${far} | lvmsync --apply - ${destination}`;
    const PATH = `${fixture.path('bin')}:${process.env.PATH}`;
    const result = runTool(['bash', '-c', pull], { env: { ...process.env, PATH } });
    assertSucceeds(result);
    assert.ok(fixture.isSynced(destination));
  });
});

describe('the ssh2 package', () => {
  test('is loaded for --transport ssh2 only', () => {
    const rsh = fixture.goodRsh();
    const run = (...words: string[]) =>
      runTool([process.execPath, '--import', SAY_LOADED, CLI, ...fixture.source, ...words]);
    const command = run('-e', rsh.command, `backup:${fixture.copy()}`);
    assertSucceeds(command);
    assert.match(command.stderr, /^ssh2 false$/m);
    // No connection can be made to there: it is enough that it tries.
    const builtIn = run('--transport', 'ssh2', '255.255.255.255:/x');
    assert.equal(builtIn.status, 17);
    assert.match(builtIn.stderr, /^ssh2 true$/m);
  });
});
