/** `--push-helper FILE`: the other host has no lvmsync, and is lent one for the run. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  assertFails,
  assertSucceeds,
  CLI,
  type CliResult,
  lvmsync,
  startLvmsync,
} from '../helpers/program/cli.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';

const fixture = new RemoteFixture();
/** Stands for the self-contained executable: larger than a pipe, and does what that does. */
const HELPER = fixture.path('helper');
const program = `#!/bin/sh\nexec '${process.execPath}' '${CLI}' "$@"\n`;
writeFileSync(HELPER, program + '# filling\n'.repeat(30_000));
/** The temporary folder of the other host. */
const TEMPORARY = fixture.path('temporary');
mkdirSync(TEMPORARY);

/** A host without lvmsync, whose login shell is the one named. */
function host(shell = 'sh', before = ':'): string {
  const environment = `PATH=/usr/bin:/bin TMPDIR=${TEMPORARY}`;
  return fixture.rsh(`${before}; exec env ${environment} ${shell} -c "$line"`).command;
}

function send(rsh: string, path: string, ...options: string[]): CliResult {
  return fixture.send({ command: rsh, argvFile: '' }, path, '--push-helper', HELPER, ...options);
}

const FOR_WANT_OF_PLACE = /^Set TMPDIR there to another directory, or install lvmsync there\.$/m;

function assertNothingLeft(): void {
  assert.deepEqual(readdirSync(TEMPORARY), []);
}

describe('a host without lvmsync', () => {
  for (const shell of ['sh', 'bash', 'zsh', 'fish']) {
    test(`is lent one for the run, through ${shell}, and keeps nothing of it`, (t) => {
      if (!['/bin', '/usr/bin'].some((folder) => readdirSync(folder).includes(shell))) {
        t.skip(`there is no ${shell} here`);
        return;
      }
      const path = fixture.copy();
      const result = send(host(shell), path, '--require-ack', '--streams', '2');
      assertSucceeds(result);
      assert.match(result.stderr, /^backup has no lvmsync: sending .*helper for this run$/m);
      assert.ok(fixture.isSynced(path));
      assertNothingLeft();
    });
  }

  test('is sent nothing but where that is asked for', () => {
    const path = fixture.copy();
    const result = fixture.send({ command: host(), argvFile: '' }, path);
    assertFails(result, 17, /was not found/);
    assert.ok(fixture.isUntouched(path));
  });

  test('keeps nothing of it when the run fails', () => {
    assertFails(send(host(), fixture.path('not/there')), 12, /not\/there/);
    assertNothingLeft();
  });

  test('keeps nothing of it when the sender is killed', async () => {
    const path = fixture.copy();
    const words = [...fixture.source, '-e', host(), '--push-helper', HELPER, '--bwlimit', '100K'];
    const run = startLvmsync([...words, '-v', `backup:${path}`]);
    await run.waitFor(/running: /);
    assert.equal(readdirSync(TEMPORARY).length, 1);
    run.child.kill('SIGKILL');
    await run.ended;
    for (let tries = 0; readdirSync(TEMPORARY).length > 0 && tries < 500; tries += 1) {
      await new Promise((tick) => setTimeout(tick, 20));
    }
    assertNothingLeft();
  });

  test('keeps nothing of it when the connection ends in the middle of it', (t) => {
    if (!readdirSync('/bin').includes('dash')) {
      t.skip('there is no dash here');
      return;
    }
    const there = `env PATH=/usr/bin:/bin TMPDIR=${TEMPORARY} dash -c "$line"`;
    const result = send(fixture.rsh(`head -c 1000 | ${there} | head -n 2`).command, fixture.copy());
    assertFails(result, 17, /--push-helper/);
    assertNothingLeft();
  });

  test('refuses what arrives damaged', () => {
    const path = fixture.copy();
    const there = `env PATH=/usr/bin:/bin TMPDIR=${TEMPORARY} sh -c "$line"`;
    const result = send(
      fixture.rsh(`(dd bs=1 count=1 2>/dev/null | tr '#' '+'; cat) | ${there}`).command,
      path,
    );
    assertFails(result, 17, /^FATAL ERROR: backup: --push-helper: it did not arrive complete/);
    assert.match(result.stderr, FOR_WANT_OF_PLACE);
    assert.match(result.stderr, /^Nothing was written there\.$/m);
    assert.ok(fixture.isUntouched(path));
    assertNothingLeft();
  });

  test('refuses what does not run there, with the reason', () => {
    const wrong = fixture.path('wrong');
    writeFileSync(wrong, '#!/bin/sh\necho "made for another machine" >&2\nexit 1\n');
    const result = send(host(), fixture.copy(), '--push-helper', wrong);
    assertFails(result, 17, /it does not run there \(made for another machine\)/);
    assert.match(result.stderr, FOR_WANT_OF_PLACE);
    assertNothingLeft();
  });

  test('that cannot be reached is a failure like any other', () => {
    const result = send(host('sh', 'echo "no route" >&2; exit 255'), fixture.copy());
    assertFails(
      result,
      17,
      /^FATAL ERROR: backup: --push-helper: it could not be sent \(no route\)/,
    );
    assert.match(result.stderr, /^Check that you can log in to backup\.$/m);
    const none = send(fixture.path('no-rsh'), fixture.copy());
    assertFails(none, 17, /cannot be started/);
    assert.match(none.stderr, /^See --rsh\.$/m);
  });

  test('that has no place for it is told from one that cannot be reached', () => {
    const there = `TMPDIR=${fixture.path('nowhere')}; export TMPDIR; PATH=/usr/bin:/bin; export PATH`;
    const result = send(fixture.rsh(`${there}; exec sh -c "$line"`).command, fixture.copy());
    assertFails(result, 17, /it could not be sent \(mktemp: /);
    assert.match(result.stderr, FOR_WANT_OF_PLACE);
  });
});

describe('a host that has lvmsync', () => {
  test('is sent nothing, and uses its own', () => {
    const path = fixture.copy();
    const { command, argvFile } = fixture.goodRsh();
    const result = send(command, path);
    assertSucceeds(result);
    assert.doesNotMatch(result.stderr, /sending/);
    assert.ok(fixture.isSynced(path));
    assert.match(readFileSync(argvFile, 'utf8'), /^lvmsync$/m);
  });
});

describe('a helper', () => {
  test('that cannot be read is named before anything is connected', () => {
    const result = send(host('sh', 'exit 99'), fixture.copy(), '--push-helper', '/nowhere/at/all');
    assertFails(result, 1, /--push-helper: \/nowhere\/at\/all: cannot be read \(ENOENT\)/);
  });

  test('is refused where it could have no effect', () => {
    const refusals: [RegExp, ...string[]][] = [
      [/--push-helper needs a remote host/, fixture.copy()],
      [/--push-helper cannot be used with --transport ssh2/, '--transport', 'ssh2', 'backup:/x'],
    ];
    for (const [message, ...words] of refusals) {
      assertFails(lvmsync([...fixture.source, '--push-helper', HELPER, ...words]), 1, message);
    }
  });
});
