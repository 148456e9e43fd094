/** F21: words that are nothing: what was meant is said, and nothing is taken for something else. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { refuseUnknownCommand } from '../../../src/cli/option-checks.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';
import { editDistance, nearest } from '../../../src/cli/suggest.js';

const said = (words: readonly string[]): string => {
  try {
    toCommand(parseOptions(words));
    return 'nothing';
  } catch (error) {
    assert.ok(error instanceof Error && 'hint' in error);
    return `${error.message} / ${error.hint}`;
  }
};

describe('F21: a mistyped', () => {
  for (const [line, expected] of [
    ['cylce vg0/mail copy.img', 'unknown command "cylce" / Did you mean "cycle"?'],
    ['verfy vg0/snap copy.img', 'unknown command "verfy" / Did you mean "verify"?'],
    ['hlep', 'unknown command "hlep" / Did you mean "help"?'],
    ['frobnicate a b c', /^unknown command "frobnicate" \/ The commands are inspect, .* and help;/],
    ['--snapbak undo vg0/snap copy', 'invalid option: --snapbak / Did you mean --snapback?'],
    ['cycle --kepe 5', 'invalid option: --kepe / Did you mean --keep?'],
    ['chain --xyzzy d', 'invalid option: --xyzzy / "lvmsync help chain" lists its options.'],
    ['--xyzzy vg0/snap copy', /^invalid option: --xyzzy \/ "lvmsync help COMMAND" lists/],
    [
      '--re vg0/snap copy',
      'ambiguous option: --re / It could be --redo, --remote-path, --repair, --require-ack or --require-quiet.',
    ],
    [
      '--keep 5 vg0/snap copy',
      '--keep cannot be used with a SNAPSHOT and a DESTINATION / It can be used with: --apply, cycle.',
    ],
    [
      'verify --dry-run vg0/snap copy',
      '--dry-run cannot be used with verify / It can be used with: a sync, --stdout, --apply, cycle, rollback.',
    ],
    ['cycle vg0/mail', 'missing operand: DESTINATION / "lvmsync help cycle" shows the usage.'],
    ['vg0/snap', 'missing operand: DESTINATION / "lvmsync help sync" shows the usage.'],
    [
      'vg0/snap /c --bwlimit',
      /^missing argument: .* RATE\. "lvmsync help sync" shows the usage\.$/,
    ],
    ['vg0/snap /c --bwlimit x', /^--bwlimit: .* \/ "lvmsync help sync" shows the usage\.$/],
    ['vg0/snap /c --format x', /^--format: .* \/ "lvmsync help sync" shows the usage\.$/],
    ['--steps', /^missing argument: .* N\. "lvmsync help rollback" shows the usage\.$/],
    [
      '--apply --help',
      'missing argument: --apply / Write --apply FILE. "lvmsync help apply" shows the usage.',
    ],
    [
      'rollback --to',
      'missing argument: --to / Write --to TIME. "lvmsync help rollback" shows the usage.',
    ],
    ['cycle v/m -b', 'missing argument: -b / Write -b DIR. "lvmsync help cycle" shows the usage.'],
    ['v/snap -b', 'missing argument: -b / Write -b FILE. "lvmsync help sync" shows the usage.'],
    [
      'verify --snapback x a b',
      '--snapback needs --repair / "lvmsync help verify" shows the usage.',
    ],
    [
      'verify --full --since c a b',
      '--since cannot be used with --full / "lvmsync help verify" shows the usage.',
    ],
    [
      '-s -a f vg0/snap',
      '--apply cannot be used with --stdout / "lvmsync --help" shows the usage.',
    ],
    [
      "cycle vg0/mail /c --snapback /d --freeze-cmd it's",
      /^--freeze-cmd: command "it's": the ' at .* is never closed \/ "lvmsync help cycle" shows the usage/,
    ],
    ["vg0/snap b:/c -e it's", /^--rsh: command "it's": the ' at .* is never closed \//],
    ['--compress lz4 vg0/snap b:/x', /^--compress: write --compress=lz4, without a blank/],
    [
      'backup:/dev/x vg0/snap',
      /^SNAPSHOT: "backup:\/dev\/x" names a host, .* The order is SNAPSHOT/,
    ],
    ['cycle backup:/dev/vg0/mail /c --snapback /d', /^VOLUME: "backup:\/dev\/vg0\/mail" names a/],
    [
      '--cow-store f -r d vg0/snap copy',
      /^too many operands: "copy" was not expected \/ --cow-store replaces SNAPSHOT: leave out/,
    ],
    ['verify --cow-store f -r d vg0/snap copy', /leave out SNAPSHOT, or --cow-store\.$/],
    ['inspect -', /^inspect reads files, not standard input/],
    ['bench backup', /^bench: "backup": no such file\. A colon ends the name of a host: "backup:"/],
    ['cycle vg0/m /c --snapback /d --size 0', /saw "0"\. \//],
    ['cycle vg0/m /c --snapback /d --size 5', /saw "5"\. Did you mean 5G or 5%\?/],
  ] as const) {
    test(`word is answered with what was meant: ${line}`, () => {
      const text = said(line.split(' '));
      if (typeof expected === 'string') assert.equal(text, expected);
      else assert.match(text, expected);
    });
  }

  test('word is a snapshot or a file where it can be one', () => {
    assert.doesNotThrow(() => refuseUnknownCommand(['vg0/cylce', 'copy'], () => false));
    assert.doesNotThrow(() => refuseUnknownCommand(['cylce', 'copy'], () => true));
    assert.doesNotThrow(() => refuseUnknownCommand(['sdq1', 'copy'], () => false));
    assert.doesNotThrow(() => refuseUnknownCommand([], () => false));
  });
});

describe('a host where there can be none', () => {
  for (const line of [
    '--apply undo backup:/dev/vg1/mail',
    'rollback --steps 1 backup:/dev/vg1/mail',
    'rollback --steps 1 copy backup:/var/mail.chain',
    'chain backup:/var/mail.chain',
    'inspect backup:/root/undo',
  ]) {
    test(`is not taken for a file: ${line}`, () => {
      assert.match(said(line.split(' ')), /"backup:\/.*" is not on this host \/ Run lvmsync on/);
    });
  }
  for (const line of ['vg0/snap backup:/copy', 'cycle vg0/mail backup:/copy']) {
    test(`is not taken for a directory of the other host: ${line} --snapback`, () => {
      const words = [...line.split(' '), '--snapback', 'backup:/root/undo'];
      assert.match(
        said(words),
        /names a host; .* Give its path there, .*: --snapback \/root\/undo/,
      );
    });
  }
  test('is no part of a name with a time in it', () => {
    assert.equal(said(['vg0/snap', 'copy', '--snapback', 'undo-2026-11-23T10:15']), 'nothing');
    assert.equal(said(['--apply', 'undo', '10:15']), 'nothing');
  });
});

describe('abbreviations', () => {
  const golden = readFileSync(
    new URL('../../../../test/golden/state-4bc2114/prefixes.txt', import.meta.url),
    'utf8',
  );
  const rows = golden.trim().split('\n');

  test('without a command word mean what they did at 4bc2114, or what was ambiguous is still refused', () => {
    const now = rows.map((row) => {
      const [prefix = ''] = row.split(' ');
      try {
        const { flags, values } = parseOptions([`--${prefix}`, 'value']);
        const [[name, set] = []] = [...Object.entries(flags), ...Object.entries(values)];
        return `${prefix} ${set === false ? 'no-' : ''}${name}`;
      } catch (error) {
        return `${prefix} ${error instanceof Error ? error.message.split(':')[0] : error}`;
      }
    });
    assert.deepEqual(now, rows);
    assert.ok(rows.length > 250);
  });

  for (const [words, name] of [
    [['cycle', '--si', '5G'], 'size'],
    [['cycle', '--k', '5'], 'keep'],
    [['rollback', '--re'], 'redo'],
    [['verify', '--rep'], 'repair'],
    [['bench', '--sc', 'file'], 'scratch'],
    [['inspect', '--j'], 'json'],
    [['status', '--max', '3h'], 'max-age'],
    [['cycle', '--max', '80'], 'max-cow-use'],
    [['--max', '80', 'vg0/snap', 'copy'], 'max-cow-use'],
  ] as const) {
    test(`mean the command's own options: ${words.join(' ')}`, () => {
      const { flags, values } = parseOptions(words);
      assert.deepEqual([...Object.keys(flags), ...Object.keys(values)], [name]);
    });
  }
});

test('the distance counts letters left out, added, changed and swapped', () => {
  for (const [a, b, distance] of [
    ['', 'abc', 3],
    ['cycle', 'cycle', 0],
    ['cylce', 'cycle', 1],
    ['verfy', 'verify', 1],
    ['insepct', 'inspect', 1],
    ['dcotor', 'doctro', 2],
    ['abc', 'xyz', 3],
  ] as const) {
    assert.equal(editDistance(a, b), distance, `${a} ${b}`);
    assert.equal(editDistance(b, a), distance, `${b} ${a}`);
  }
  assert.equal(nearest('bnech', ['chain', 'bench']), 'bench');
  assert.equal(nearest('zzz', ['chain', 'bench']), undefined);
});

describe('F26: units are understood as rsync, systemd and restic understand them', () => {
  const taken = (...words: string[]) => toCommand(parseOptions([...words, 'vg0/snap', 'h:/copy']));
  for (const [rate, bytes] of [
    ['10M', 10 * 1024 ** 2],
    ['10MiB', 10 * 1024 ** 2],
    ['10mb', 10_000_000],
    ['1.5K', 1536],
    ['500B', 500],
  ] as const) {
    test(`--bwlimit ${rate}`, () => {
      const command = taken('--bwlimit', rate);
      assert.ok(command.kind === 'sync');
      assert.equal(command.bytesPerSecond, bytes);
    });
  }

  for (const [time, seconds] of [
    ['90', 90],
    ['90s', 90],
    ['5m', 300],
    ['2min', 120],
    ['1h', 3600],
  ] as const) {
    test(`--timeout ${time}`, () => {
      const command = taken('--timeout', time);
      assert.ok(command.kind === 'sync');
      assert.equal(command.remote.timeoutSeconds, seconds);
    });
  }

  test('or refused with the nearest form that is right', () => {
    assert.match(
      said(['cycle', '--size', '20', 'v/a', 'b', '-b', 'c']),
      /Did you mean 20G or 20%\?/,
    );
  });
});

test('F22: -e is not ignored beside the built-in client', () => {
  assert.match(
    said(['-e', 'ssh -F x', '--transport', 'ssh2', 'v/a', 'h:/copy']),
    /^--rsh cannot be used with --transport ssh2/,
  );
});
