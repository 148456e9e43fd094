/** `lvmsync doctor` with files, here and on another host for which a script stands. */

import assert from 'node:assert/strict';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { VERSION } from '../../src/base/version.js';
import { identityFromStat, lockKey } from '../../src/device/topology.js';
import { acquireRunLock } from '../../src/host/run-lock.js';
import { type CliResult, lvmsync } from '../helpers/program/cli.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';

const fixture = new RemoteFixture();
const rsh = fixture.goodRsh().command;

interface Line {
  readonly level: string;
  readonly subject: string;
  readonly text: string;
  readonly remedy?: string;
  readonly host?: string;
}

function linesOf({ stdout }: CliResult): Line[] {
  return stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** What it says of one subject, the status left aside: the machine of the test may lack this and that. */
function find(result: CliResult, subject: string, host?: string): Line {
  const all = linesOf(result).filter((line) => line.subject === subject && line.host === host);
  assert.equal(all.length, 1, `one line on ${subject} in:\n${result.stdout}${result.stderr}`);
  return all[0] as Line;
}

function doctor(...words: string[]): CliResult {
  return lvmsync(['doctor', '--json', ...words]);
}

describe('the doctor', () => {
  test('looks at Node, the tools, the kernel, rights and packages, and says a sentence at the end', () => {
    const { stdout, stderr, status } = lvmsync(['doctor', '-']);
    assert.equal(stderr, '');
    assert.equal(status, 0, stdout.toString());
    for (const subject of ['lvmsync', 'Node.js', 'rights', 'io_uring', 'locks', 'lvs', 'ssh']) {
      assert.match(stdout.toString(), new RegExp(`^(ok|warning) +${subject} `, 'm'));
    }
    assert.match(stdout.toString(), /^Nothing is missing.*\.\n$/m);
  });

  test('says the same as JSON, one object a line', () => {
    const text = lvmsync(['doctor', '-']).stdout.toString();
    for (const line of linesOf(doctor('-'))) assert.ok(text.includes(line.text), line.text);
  });

  test('takes a file that may be written, and leaves it as it was', () => {
    const path = fixture.copy();
    const before = readdirSync(fixture.folder);
    const result = doctor('-b', fixture.path('undo'), '-', path);
    assert.equal(result.status, 0, result.stdout.toString());
    assert.match(find(result, 'destination').text, /can be written, a file of 16\.0 MiB$/);
    assert.match(find(result, 'snapback').text, /undo can be created; .* free there/);
    assert.ok(fixture.isUntouched(path));
    assert.deepEqual(readdirSync(fixture.folder), before);
  });

  test('ends with 1 where the destination is missing, taken, or its snapback is there', async () => {
    const path = fixture.copy();
    const gone = doctor('-', fixture.path('gone'));
    assert.equal(gone.status, 1);
    assert.equal(find(gone, 'destination').level, 'missing');

    const identity = identityFromStat(statSync(path, { bigint: true }));
    assert.ok(identity !== undefined);
    const lock = await acquireRunLock(lockKey(identity), {
      path,
      command: 'lvmsync something else',
    });
    const taken = doctor('-', path);
    lock.release();
    assert.equal(taken.status, 1);
    assert.match(find(taken, 'destination').text, /something else/);

    writeFileSync(fixture.path('former'), 'undo');
    const former = doctor('-b', fixture.path('former'), '-', path);
    assert.equal(former.status, 1);
    assert.match(find(former, 'snapback').text, /exists/);
  });

  test('says of a snapshot that cannot be found what a sync would say', () => {
    const words = ['nowhere/nothing', fixture.copy()];
    const found = find(doctor(...words), 'source');
    assert.equal(found.level, 'missing');
    const { stderr } = lvmsync(words);
    const [, fatal] = /^FATAL ERROR: (.*)$/m.exec(stderr) ?? [];
    assert.equal(found.text.slice(0, 40), fatal?.slice(0, 40));
  });
});

describe('the doctor of another host', () => {
  test('has the lvmsync there look at that machine, its destination and the place of a snapback', () => {
    const path = fixture.copy();
    const result = doctor('-e', rsh, '-b', fixture.path('undo there'), '-', `backup:${path}`);
    assert.equal(result.status, 0, result.stdout.toString());
    assert.equal(find(result, 'lvmsync', 'backup').text, VERSION);
    assert.equal(find(result, 'Node.js', 'backup').level, 'ok');
    assert.match(find(result, 'destination', 'backup').text, /a file of 16\.0 MiB$/);
    assert.match(find(result, 'snapback', 'backup').text, /undo there can be created/);
    assert.ok(linesOf(result).some(({ host, subject }) => host === undefined && subject === 'lvs'));
    const text = lvmsync(['doctor', '-e', rsh, '-', `backup:${path}`]).stdout.toString();
    assert.match(text, /^ok {7}destination {3}backup: .* can be written/m);
  });

  test('is 1 where its destination is missing', () => {
    const result = doctor('-e', rsh, '-', `backup:${fixture.path('gone')}`);
    assert.equal(result.status, 1);
    assert.equal(find(result, 'destination', 'backup').level, 'missing');
    const { stdout } = lvmsync(['doctor', '-e', rsh, '-', 'backup:/nowhere/x']);
    assert.match(stdout.toString(), /^ +On backup: The directory \/nowhere does not exist/m);
  });

  test('warns of another version, and of an lvmsync that has no doctor', () => {
    const line = JSON.stringify({ level: 'ok', subject: 'lvmsync', text: '3.9.1' });
    const end = JSON.stringify({ level: 'ok', subject: 'destination', text: '/x' });
    const older = fixture.rsh(`echo '${line}'; echo '${end}'`).command;
    const found = find(doctor('-e', older, '-', 'backup:/x'), 'lvmsync', 'backup');
    assert.equal(found.level, 'warning');
    assert.equal(
      found.text,
      `3.9.1 there, ${VERSION} here: only the features that both support are used`,
    );

    const ruby = fixture.rsh('echo "I am the old one" >&2; exit 1').command;
    const result = doctor('-e', ruby, '-', 'backup:/x');
    assert.equal(result.status, 0, 'it may serve all the same');
    assert.match(
      find(result, 'remote host', 'backup').text,
      /no doctor \(its output: I am the old one\)/,
    );
    const mute = doctor('-e', fixture.rsh('exit 1').command, '-', 'backup:/x');
    assert.match(find(mute, 'remote host', 'backup').text, /has no doctor$/);
  });

  const failures: readonly [what: string, script: string, text: RegExp, remedy: RegExp][] = [
    ['no lvmsync', 'exit 127', /was not found/, /--remote-path/],
    [
      'a connection that breaks',
      `echo '${JSON.stringify({ level: 'ok', subject: 'lvmsync', text: VERSION })}'; exit 255`,
      /could not be reached/,
      /^$/,
    ],
    [
      'an answer without an end',
      `echo '${JSON.stringify({ level: 'ok', subject: 'lvmsync', text: VERSION })}'; exit 0`,
      /does not mention the destination/,
      /again/,
    ],
    [
      'nobody',
      'echo "ssh: connect to host x port 22: Connection refused" >&2; exit 255',
      /could not be reached/,
      /network/,
    ],
    ['a password for sudo', 'echo "sudo: a password is required" >&2; exit 1', /sudo/, /NOPASSWD/],
  ];
  for (const [what, script, text, remedy] of failures) {
    test(`is 1 where there is ${what}`, () => {
      const command = fixture.rsh(script).command;
      const result = doctor('-e', command, '-', 'backup:/x');
      assert.equal(result.status, 1);
      const found = find(result, 'remote host');
      assert.match(found.text, text);
      assert.match(found.remedy ?? '', remedy);
    });
  }

  test('gives up a host that does not answer, after --timeout', () => {
    const command = fixture.rsh('exec sleep 600').command;
    const result = doctor('--timeout', '1', '-e', command, '-', 'backup:/x');
    assert.equal(result.status, 1);
    assert.match(find(result, 'remote host').text, /no answer for 1 s/);
  });

  test('cannot be made to say what another host has not found, nor to move the cursor', () => {
    const line = JSON.stringify({ level: 'ok', subject: 'a\x1bb', text: 'x\ny', host: 'forged' });
    const end = JSON.stringify({ level: 'ok', subject: 'destination', text: '/x' });
    const liar = fixture.rsh(`printf '%s\\n' '${line}' '${end}'`).command;
    const { stdout } = lvmsync(['doctor', '-e', liar, '-', 'backup:/x']);
    assert.ok(!stdout.includes('\x1b') && !stdout.includes('forged'));
    const bidi = JSON.stringify({ level: 'ok', subject: 'destination', text: '\u009b\u202e\x7f' });
    const other = fixture.rsh(`printf '%s\\n' '${bidi}'`).command;
    const json = lvmsync(['doctor', '--json', '-e', other, '-', 'backup:/x']).stdout.toString();
    assert.match(json, /"text":"\\u009b\\u202e\\u007f"/);
    assert.match(stdout.toString(), /^ok {7}a\\x1bb *backup: x\\ny$/m);
  });
});
