import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '../../../src/base/errors.js';
import { judge, mayHaveRun, type PeerOutcome } from '../../../src/remote/peer-verdict.js';

const SENT = { records: 71, bytes: 290816, digest: 'abcd' };
const DONE = { kind: 'done', streamId: 'i', ...SENT } as const;
const GOOD: PeerOutcome = {
  host: 'backup',
  exit: { kind: 'status', status: 0 },
  sentAll: true,
  unreadBytes: 0,
  ready: true,
  result: DONE,
  sent: SENT,
  lastLines: [],
  requireAck: false,
  classic: false,
};
const SILENT = { ready: false, result: undefined } as const;

const status = (number: number): PeerOutcome['exit'] => ({
  kind: 'status',
  status: number,
});
const failed = (exitStatus: number, message = 'why'): PeerOutcome['result'] => ({
  kind: 'failed',
  streamId: 'i',
  exitStatus,
  message,
});

function failure(outcome: Partial<PeerOutcome>): LvmsyncError {
  try {
    judge({ ...GOOD, ...outcome });
  } catch (error) {
    assert(error instanceof LvmsyncError);
    return error;
  }
  assert.fail('it was taken for a success');
}

test('status 0 and the right totals are a verified success', () => {
  assert.deepEqual(judge(GOOD), { verified: true });
  assert.deepEqual(judge({ ...GOOD, requireAck: true }), { verified: true });
  assert.deepEqual(judge({ ...GOOD, ready: false }), { verified: true });
});

test('status 0 without any answer is an unverified success: an old receiver', () => {
  assert.deepEqual(judge({ ...GOOD, ...SILENT }), { verified: false });
});

for (const [whose, exit, remote, message] of [
  ['of the ssh here', {}, ['/usr/bin/ssh'], /^backup: ssh on this machine was ended by SIGKILL$/],
  ['of what connects', {}, undefined, /^backup: the command that connects to it on this machine /],
  ['of the receiver', { isOfPeer: true }, ['ssh'], /^backup: the remote command was ended by /],
] as const) {
  test(`a signal is named as that ${whose}`, () => {
    const killed = { kind: 'signal', signal: 'SIGKILL', ...exit } as const;
    const how = remote && { sudo: false, program: 'lvmsync', rsh: remote };
    const error = failure({ ...SILENT, exit: killed, remote: how });
    assert.match(error.message, message);
    assert.equal(error.exitStatus, 17);
  });
}

const BROKEN = new LvmsyncError('transport', 'backup: the connection broke (x)');

for (const [what, exit] of [
  ['its receiver is killed', { kind: 'signal', signal: 'SIGKILL' }],
  ['its receiver is killed behind a shell', status(137)],
  ['ssh fails', status(255)],
  ['the connection breaks', { kind: 'failed', error: BROKEN }],
] as const) {
  test(`a turn of a chain is complete when it is confirmed, also where ${what} after that`, () => {
    const outcome = { ...GOOD, exit, isTurn: true };
    assert.deepEqual(judge(outcome), { verified: true });
    failure({ ...outcome, isTurn: false });
    failure({ ...outcome, result: undefined });
    failure({ ...outcome, result: { ...DONE, digest: 'other' } });
    failure({ ...outcome, result: failed(13) });
    failure({ ...outcome, exit: status(13) });
  });
}

const failures: readonly [what: string, Partial<PeerOutcome>, exitStatus: number, RegExp][] = [
  ['other records', { result: { ...DONE, records: 70 } }, 17, /reports other data/],
  ['other bytes', { result: { ...DONE, bytes: 1 } }, 17, /reports other data/],
  ['another digest', { result: { ...DONE, digest: 'abce' } }, 17, /reports other data/],
  ['no result after ready', { result: undefined }, 17, /ended without its result/],
  ['no answer where one is required', { ...SILENT, requireAck: true }, 17, /did not confirm/],
  ['an early end with status 0', { ...SILENT, sentAll: false }, 17, /before everything was sent/],
  ['an early end with status 0 and a result', { sentAll: false }, 17, /before everything was sent/],
  [
    'an end with status 0 and a rest unread',
    { ...SILENT, unreadBytes: 7 },
    17,
    /did not read the last 7 bytes/,
  ],
  [
    'a rest unread in spite of a good result',
    { unreadBytes: 1 },
    17,
    /did not read the last byte$/,
  ],
  [
    'status 0 without a result, but words of a failure',
    { ...SILENT, lastLines: ['FATAL ERROR: standard input: it is cut off'] },
    17,
    /reports a failure, although with status 0/,
  ],
  ['status 1', { ...SILENT, exit: status(1) }, 17, /status 1\. APPLY FAILED/],
  [
    'status 12 without a result',
    { ...SILENT, exit: status(12) },
    17,
    /status 12: destinationUnfit/,
  ],
  ['status 126', { ...SILENT, exit: status(126) }, 17, /status 126/],
  ['status 127', { ...SILENT, exit: status(127) }, 17, /was not found/],
  ['status 255', { ...SILENT, exit: status(255) }, 17, /could not be reached/],
  ['a good result but status 1', { exit: status(1) }, 17, /status 1/],
  ['a good result but a signal', { exit: { kind: 'signal', signal: 'SIGKILL' } }, 17, /SIGKILL/],
  ['a broken connection', { exit: { kind: 'failed', error: BROKEN } }, 17, /connection broke/],
  ['its own failure 12', { result: failed(12), exit: status(12) }, 12, /^backup: why$/],
  ['its own failure 13', { result: failed(13), exit: status(13) }, 13, /^backup: why$/],
  ['its own failure with status 0', { result: failed(16) }, 16, /^backup: why$/],
  [
    'its own failure, though its connection then broke',
    { result: failed(19), exit: { kind: 'failed', error: BROKEN } },
    19,
    /^backup: why$/,
  ],
  ['a failure 0', { result: failed(0) }, 17, /why/],
  ['a failure 999', { result: failed(999) }, 17, /why/],
];
for (const [what, outcome, exitStatus, message] of failures) {
  test(`${what} makes exit status ${exitStatus}`, () => {
    const error = failure(outcome);
    assert.equal(error.exitStatus, exitStatus);
    assert.match(error.message, message);
    assert.match(error.message, /^backup: /);
  });
}

const REFUSED = ['FATAL ERROR: why', 'Nothing was written.', 'Mend it.', 'Connection closed.'];
for (const [what, outcome, hint] of [
  ['as it said it', { lastLines: REFUSED }, 'On backup: Mend it.'],
  ['of one of several streams', { host: 'backup (stream 2 of 3)' }, 'On backup: Mend it.'],
  ['of this machine', { host: 'this machine' }, 'Mend it.'],
  ['unless that was shown', { unseenLines: [] }, undefined],
  ['if it said one', { lastLines: REFUSED.slice(0, 2) }, undefined],
  [
    'of an old one that prints no state',
    { lastLines: ['FATAL ERROR: x', 'Do.'] },
    'On backup: Do.',
  ],
  ['unless it had begun, since the sender knows better', { ready: true }, undefined],
] as const) {
  test(`the next step of its own failure is repeated ${what}`, () => {
    const end = { ...SILENT, lastLines: REFUSED, ...outcome };
    assert.equal(failure({ ...end, result: failed(12), exit: status(12) }).hint, hint);
  });
}

test('the last words of the remote side are in the message', () => {
  const { message } = failure({
    ...SILENT,
    exit: status(1),
    lastLines: ['one', 'two'],
  });
  assert.match(message, /\(its output: one \| two\)$/);
});

test('what is missing where no answer came depends on the form of the stream', () => {
  const classic = failure({ ...SILENT, requireAck: true, classic: true });
  assert.match(classic.hint ?? '', /--format=classic/);
  const framed = failure({ ...SILENT, requireAck: true });
  assert.match(framed.hint ?? '', /without --require-ack/);
});

const hints: readonly [status: number, said: string[], hint: RegExp | undefined][] = [
  [
    255,
    [
      '  ssh-keygen -f "/root/.ssh/known_hosts" -R "h"',
      'Host key for h has changed and you have requested strict checking.',
      'Host key verification failed.',
    ],
    /Find out why before you remove/,
  ],
  [
    255,
    [
      'Host key for h was revoked and you have requested strict checking.',
      'Host key verification failed.',
    ],
    /must give it a new host key/,
  ],
  [
    255,
    [
      'No ED25519 host key is known for h and you have requested strict checking.',
      'Host key verification failed.',
    ],
    /connect once by hand/,
  ],
  [255, ['root@h: Permission denied (publickey,password).'], /user name, the key/],
  [
    255,
    ['Received disconnect from ::1 port 22:2: Too many authentication failures'],
    /user name, the key/,
  ],
  [255, ['ssh: Could not resolve hostname h: Name or service not known'], /name of the host/],
  [255, ['ssh: connect to host h port 22: Connection refused'], /network/],
  [255, ['ssh: connect to host h port 22: No route to host'], /network/],
  [255, ['client_loop: send disconnect: Broken pipe'], /network/],
  [127, ['bash: line 1: lvmsync: command not found'], /--remote-path/],
  [127, ['fish: Unknown command: lvmsync'], /--remote-path/],
  [126, ['bash: line 1: /opt/lvmsync: Permission denied'], /--sudo/],
  [1, ['Permission denied @ rb_sysopen - /dev/vg/copy'], /--sudo/],
  [1, ['No such file or directory @ rb_sysopen - /dev/vg/copy'], undefined],
  [1, ['something else'], undefined],
  [1, [], undefined],
];
for (const [number, said, hint] of hints) {
  test(`the advice after status ${number} and "${said.join(' | ')}" is ${hint ?? 'none'}`, () => {
    const error = failure({ ...SILENT, exit: status(number), lastLines: said });
    if (hint === undefined) assert.equal(error.hint, undefined);
    else assert.match(error.hint ?? '', hint);
  });
}

const reached: readonly [exit: PeerOutcome['exit'], said: string[], ran: boolean][] = [
  [status(255), ['Host key verification failed.'], false],
  [status(255), ['root@h: Permission denied (publickey).'], false],
  [status(255), ['ssh: connect to host h port 22: Connection refused'], false],
  [status(255), ['ssh: Could not resolve hostname h: Name or service not known'], false],
  [status(127), ['bash: line 1: lvmsync: command not found'], false],
  [{ kind: 'failed', error: BROKEN }, [], false],
  [{ kind: 'failed', error: BROKEN, hadStarted: true }, [], true],
  [status(255), [], true],
  [status(255), ['client_loop: send disconnect: Broken pipe'], true],
  [
    status(255),
    [
      'ssh: connect to host h port 22: Connection refused',
      'Connection to h closed by remote host.',
    ],
    true,
  ],
  [status(1), ['Host key verification failed.'], true],
  [{ kind: 'signal', signal: 'SIGKILL' }, ['Host key verification failed.'], true],
];
for (const [exit, said, ran] of reached) {
  const how = exit.kind === 'status' ? `status ${exit.status}` : exit.kind;
  test(`${how} after "${said.join(' | ')}": the receiver ${ran ? 'may have run' : 'never ran'}`, () => {
    assert.equal(mayHaveRun({ exit, lastLines: said }), ran);
  });
}

describe('F47: sudo', () => {
  const remote = { sudo: true, program: 'lvmsync' };

  const refusals: readonly (readonly string[])[] = [
    ['sudo: a password is required'],
    ['sudo: Ein Passwort ist notwendig'],
    ['sudo: sorry, you must have a tty to run sudo'],
    ['sudo-rs: interactive authentication is required'],
    ['sudo: interactive authentication is required'],
    ['alice is not in the sudoers file.'],
    ['Leider darf der Benutzer alice »/usr/bin/lvmsync« nicht als root auf h ausführen.'],
    ['Welcome to h', 'sudo: a password is required'],
    [],
  ];
  for (const lastLines of refusals) {
    test(`refuses with the words "${lastLines.join(' | ')}": it is named, and nothing ran`, () => {
      const error = failure({ ...SILENT, exit: status(1), remote, lastLines });
      assert.match(error.message, /sudo refused to run lvmsync there/);
      assert.match(error.hint ?? '', /sudoers on that host: .* NOPASSWD: .*, and no "requiretty"/);
      assert.equal(mayHaveRun({ exit: status(1), remote, lastLines }), false);
    });
  }

  for (const said of ['sudo: lvmsync: command not found', "sudo: 'lvmsync': command not found"]) {
    test(`does not find the program: ${said}`, () => {
      const error = failure({ ...SILENT, exit: status(1), remote, lastLines: [said] });
      assert.match(error.message, /sudo does not find lvmsync there/);
      assert.match(error.hint ?? '', /--remote-path: sudo looks in its own "secure_path"/);
    });
  }

  test('is missing', () => {
    const lastLines = ['sh: 1: sudo: not found'];
    const error = failure({ ...SILENT, exit: status(127), remote, lastLines });
    assert.match(
      error.message,
      /^backup: sudo or lvmsync's interpreter was not found there \(status 127\) \(its output: sh: /,
    );
    assert.match(error.hint ?? '', /^Install what its output names\..*leave out --sudo\.$/);
  });

  test('is not blamed where lvmsync answered or spoke, nor where it was not used', () => {
    const spoke = ['FATAL ERROR: /dev/vg/copy: cannot be opened', 'lvmsync: invalid option: --x'];
    for (const said of [...spoke, "/usr/lib/x.rb:12:in `run': failed (RuntimeError)"]) {
      const error = failure({ ...SILENT, exit: status(1), remote, lastLines: [said] });
      assert.doesNotMatch(error.message, /sudo refused/);
      assert.equal(mayHaveRun({ exit: status(1), remote, lastLines: [said] }), true);
    }
    assert.equal(mayHaveRun({ exit: status(1), remote, ready: true, lastLines: [] }), true);
    const without = failure({ ...SILENT, exit: status(1), lastLines: ['Kein Zugriff'] });
    assert.doesNotMatch(without.message, /sudo refused/);
  });
});
