import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';

const command = (line: string) => toCommand(parseOptions(line.split(' ')));

function pulled(line: string) {
  const parsed = command(line);
  assert.ok(parsed.kind === 'pull');
  return parsed;
}

function served(line: string) {
  const parsed = command(line);
  assert.ok(parsed.kind === 'serve');
  return parsed;
}

const WORDS = 'cycle root@prod:vg0/mail /dev/vg1/mail --snapback /b';

describe('a cycle of a volume of another host', () => {
  test('is fetched, with the options of its snapshot as words', () => {
    const { host, volume, destination, chain, serve } = pulled(
      `${WORDS} --init --keep 3 --size 20% --compress --no-discard --max-cow-use 80`,
    );
    assert.deepEqual([host, volume, destination.path], ['root@prod', 'vg0/mail', '/dev/vg1/mail']);
    const kept = { directory: '/b', init: true, keep: [{ turns: 3 }] };
    assert.deepEqual(chain, { ...kept, fetched: 'none' });
    assert.equal(pulled(`${WORDS} --compare=lost`).chain.fetched, 'lost');
    const words = ['--size=20%', '--max-cow-use=80', '--compress=auto', '--no-discard'];
    assert.deepEqual(serve, words);
  });

  test('may have an IPv6 address, and only the name VG/LV', () => {
    assert.equal(pulled(WORDS.replace('root@prod', 'root@[::1]')).host, 'root@::1');
    for (const volume of ['prod:/dev/vg0/mail', 'prod:mail', 'prod:/dev/mapper/vg0-mail']) {
      const line = WORDS.replace('root@prod:vg0/mail', volume);
      assert.throws(() => command(line), /names a host|slash/, volume);
    }
  });

  for (const [more, message] of [
    ['--dry-run', /--dry-run cannot be used/],
    ['--end', /--end cannot be used/],
    ['--transport ssh2', /--transport cannot be used/],
    ['--streams 2', /--streams cannot be used/],
  ] as const) {
    test(`has no ${more}`, () => {
      assert.throws(() => command(`${WORDS} ${more}`), { code: 'usage', message });
    });
  }

  test('goes to a copy of this host', () => {
    assert.throws(() => command(WORDS.replace('/dev/vg1', 'backup:/dev/vg1')), /both on another/);
  });
});

describe('--serve', () => {
  test('takes a volume, a name and the options of its snapshot', () => {
    const { name, cycle } = served('cycle --serve vg0/mail offsite --size 20% --timeout 5m');
    assert.deepEqual(
      [name, cycle.origin, cycle.remote.timeoutSeconds],
      ['offsite', 'vg0/mail', 300],
    );
    assert.equal(served('cycle --serve vg0/mail').name, '');
    assert.ok(served('cycle --end --serve vg0/mail --dry-run').cycle.dryRun);
  });

  for (const more of [
    '--snapback /d',
    '--keep 3',
    '--init',
    '--force',
    '--compare',
    '--rsh x',
    '--sudo',
    '--streams 2',
    '--dry-run',
    'a/b',
    'a b',
  ]) {
    test(`refuses ${more}`, () => {
      assert.throws(() => command(`cycle --serve vg0/mail ${more}`), { code: 'usage' });
    });
  }

  test('is still short for --server where no command is named', () => {
    assert.equal(command('--serve /dev/vg1/mail').kind, 'apply');
  });
});
