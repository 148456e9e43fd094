/** Names on their way to the other host: they arrive as they are or are refused, and nothing is run. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { assertFails, assertSucceeds, CLI, lvmsync, runTool } from '../helpers/program/cli.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';

const fixture = new RemoteFixture();

function characters(first: number, last: number): string {
  const codes = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  return String.fromCharCode(...codes);
}

/** Every character up to U+00FF that a file name and a command line can hold, in names of 255 bytes. */
const ALL_NAMES = [
  characters(0x01, 0x7f).replace('\n', '').replace('/', ''),
  `-${characters(0x21, 0x2e)}`,
  characters(0x80, 0xbf),
  characters(0xc0, 0xff),
];

const HOSTILE_NAMES = [
  '$(touch PWNED)',
  '`touch PWNED`',
  ';touch PWNED',
  '|touch PWNED',
  '&touch PWNED&',
  '&&touch PWNED',
  "';touch PWNED;'",
  '";touch PWNED;"',
  "\\';touch PWNED;\\'",
  '>PWNED',
  '<(touch PWNED)',
  '$IFS',
  '$HOME',
  '~root',
  '*',
  '{a,b}',
  '!!',
  '--snapback=PWNED',
  '-bPWNED',
  '#',
];

for (const shell of ['sh', 'dash', 'bash', 'zsh', 'fish', 'csh']) {
  const missing = spawnSync(shell, ['-c', 'exit 0']).error !== undefined;
  const skip = missing ? `${shell} is not installed here` : false;

  describe(`where the login shell is ${shell}`, { skip }, () => {
    const folder = fixture.path(`in-${shell}`);
    // Apart from it: some shells keep files of their own there.
    const home = fixture.path(`home-${shell}`);
    mkdirSync(folder);
    mkdirSync(home);

    /** Sends to `name`, with the snapback `snapback`, both in one folder of the other host. */
    function roundTrip(name: string, snapback: string): void {
      const before = readdirSync(folder);
      writeFileSync(join(folder, name), fixture.snapshot);
      const rsh = fixture.rsh(`cd '${folder}'\nexport HOME='${home}'\nexec ${shell} -c "$line"`);
      // A relative path: what stands first in it is up to the name.
      assertSucceeds(fixture.send(rsh, name, '--require-ack', '-b', snapback));
      assert.ok(readFileSync(join(folder, name)).equals(fixture.origin), name);
      const made = readdirSync(folder).filter((entry) => !before.includes(entry));
      assert.deepEqual(made.sort(), [name, snapback].sort());
    }

    ALL_NAMES.forEach((name, index) => {
      test(`every character arrives in the name of a device and of a snapback (${index + 1})`, () => {
        roundTrip(name, `${name}.`);
      });
    });

    test('names that would be commands stay names', () => {
      const name = HOSTILE_NAMES.slice(0, 10).join('').replaceAll('/', '');
      roundTrip(name, HOSTILE_NAMES.slice(10).join(''));
    });
  });
}

describe('where the login shell is sh', () => {
  const home = fixture.path('hostile');
  mkdirSync(home);
  const rsh = fixture.rsh(`cd '${home}'\nexec sh -c "$line"`);

  for (const name of HOSTILE_NAMES) {
    test(`${JSON.stringify(name)} is the name of a device and of a snapback`, () => {
      writeFileSync(join(home, name), fixture.snapshot);
      assertSucceeds(fixture.send(rsh, name, '-b', `${name}.undo`));
      assert.ok(readFileSync(join(home, name)).equals(fixture.origin));
      assert.ok(existsSync(join(home, `${name}.undo`)));
      assert.equal(existsSync(join(home, 'PWNED')), false);
    });
  }

  test('the name of the program there is one word, too', () => {
    const result = fixture.send(rsh, '/x', '--remote-path', HOSTILE_NAMES.slice(0, 10).join(''));
    assertFails(result, 17, /backup: the remote command was not found/);
    assert.equal(existsSync(join(home, 'PWNED')), false);
  });

  test('a path below ~ is below the home of the other host', () => {
    const far = fixture.rsh(`export HOME='${home}'\nexec sh -c "$line"`);
    writeFileSync(join(home, 'a b'), fixture.snapshot);
    assertSucceeds(fixture.send(far, '~/a b', '-b', '~/a b.undo'));
    assert.ok(readFileSync(join(home, 'a b')).equals(fixture.origin));
    assert.ok(existsSync(join(home, 'a b.undo')));
  });
});

describe('is refused before anything is run', () => {
  const rsh = fixture.goodRsh();

  function refused(words: readonly string[], message: RegExp): void {
    assertFails(lvmsync([...fixture.source, '-e', rsh.command, ...words]), 1, message);
    assert.equal(existsSync(rsh.argvFile), false, 'the program that stands for ssh was started');
  }

  for (const character of ['\x01', '\t', '\n', '\x1b', ' ', '\x7f', '\x85', '\xa0', '\u202e']) {
    test(`a host with ${JSON.stringify(character)} in it`, () => {
      refused(['--', `a${character}b:/x`], /blanks or control characters/);
    });
  }

  for (const host of ['-oProxyCommand=touch', '-', '--', 'root@-v', '[-v]', '-v@h']) {
    test(`the host ${host}`, () => refused(['--', `${host}:/x`], /must not begin with "-"/));
  }

  for (const [what, ...words] of [
    ['a device', 'h:/a\nb'],
    ['a snapback', '-b', 'a\nb', 'h:/x'],
    ['a program', '--remote-path', 'a\nb', 'h:/x'],
  ]) {
    test(`${what} with a newline in its name`, () => refused(words, /a name with a newline/));
  }

  for (const byte of [0x80, 0xa0, 0xc3, 0xe9, 0xff]) {
    for (const option of ['', '-b']) {
      const what = option === '' ? 'a device' : 'a snapback';
      test(`${what} whose name holds the byte ${byte} where UTF-8 has none`, () => {
        const name = Buffer.concat([Buffer.from('caf'), Buffer.of(byte), Buffer.from('.')]);
        const last = option === '' ? ['h:', name] : ['h:/x\0-b\0', name];
        const words = [process.execPath, CLI, ...fixture.source, '-e', rsh.command];
        const input = Buffer.concat([
          Buffer.from(`${words.join('\0')}\0`),
          ...last.map((part) => Buffer.from(part)),
          Buffer.of(0),
        ]);
        // xargs hands over any bytes. It makes 123 of every failure.
        const result = runTool(['xargs', '-0', 'env'], { input });
        assert.equal(result.status, 123);
        assert.match(result.stderr, /^FATAL ERROR: "(h:)?caf.+": the name is not valid UTF-8$/m);
        assert.equal(existsSync(rsh.argvFile), false);
      });
    }
  }
});

describe('a host that is a command', () => {
  test('is one word for the program that stands for ssh', () => {
    const rsh = fixture.rsh('exit 255');
    const host = '$(touch$IFS-PWNED);`touch$IFS-PWNED`';
    const result = lvmsync([...fixture.source, '-e', rsh.command, `${host}:/x`]);
    assert.equal(result.status, 17);
    assert.equal(readFileSync(rsh.argvFile, 'utf8').split('\n')[0], host);
  });
});
