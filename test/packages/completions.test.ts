/** What bash, zsh and fish offer after "lvmsync", asked of the shells themselves. */

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { commandWords, longOptions } from '../../packaging/completions.js';
import { COMMAND_TABLE } from '../../src/cli/command-table.js';
import { optionsOf } from '../../src/cli/help.js';
import { parseOptions } from '../../src/cli/option-grammar.js';
import { OPTION_TABLE, type OptionSpec } from '../../src/cli/option-table.js';
import { missingTool, writeShare } from '../helpers/packages/packages.js';
import { runTool } from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
const files = join(folder, 'files');
const TABLE: readonly OptionSpec[] = OPTION_TABLE;
const CHOOSING = TABLE.filter(({ choices }) => choices !== undefined);

before(() => {
  writeShare(folder);
  mkdirSync(files);
  writeFileSync(join(files, 'undo'), '');
});

/** The long options as they are typed, without those that print help or version. */
function namesOf({ name, negatable }: OptionSpec): string[] {
  return negatable ? [`--${name}`, `--no-${name}`] : [`--${name}`];
}

/** The lines that it prints; nothing may be said on standard error. */
function linesOf(argv: readonly string[]): string[] {
  const { status, stdout, stderr } = runTool(argv);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  return stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '');
}

describe('the words of the completions', () => {
  test('are options that the program understands', () => {
    for (const word of longOptions()) {
      const { name } = TABLE.find((entry) => word.endsWith(entry.name)) ?? {};
      assert.doesNotThrow(() => parseOptions([word, 'value']), word);
      assert.notEqual(name, undefined);
    }
    assert.deepEqual(
      longOptions().filter((word) => /^--no-(verbose|debug|quiet)$/.test(word)).length,
      3,
    );
  });

  test('know the commands that the usage lines show', () => {
    assert(commandWords().includes('inspect'));
    assert(!commandWords().some((word) => /[A-Z-]/.test(word)));
  });
});

describe('bash', { skip: missingTool('bash') }, () => {
  /** What it offers for the last of the words. */
  function offered(...words: string[]): string[] {
    return offeredWith(':', ...words);
  }

  function offeredWith(setting: string, ...words: string[]): string[] {
    const script = `source "$1"; shift; ${setting}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
      _lvmsync; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const path = join(folder, 'bash-completion/completions/lvmsync');
    return linesOf(['bash', '--norc', '-uc', script, 'bash', path, 'lvmsync', ...words]);
  }

  test('offers exactly the long options that exist', () => {
    assert.deepEqual(offered('--'), longOptions());
    assert.deepEqual(offered('a', '--snapback-'), ['--snapback-overwrite']);
  });

  test('offers the values of an option that has few', () => {
    for (const { name, choices = [], withoutValue } of CHOOSING) {
      assert.deepEqual(offered(`--${name}`, '=', ''), choices, name);
      assert.deepEqual(offered(`--${name}`, '='), choices, name);
      if (withoutValue === undefined) assert.deepEqual(offered(`--${name}`, ''), choices, name);
    }
  });

  test('offers files where one is wanted, and nothing where a number is', () => {
    for (const words of [
      ['-b'],
      ['--snapback'],
      ['--snapback', '='],
      ['vg/snap'],
      ['--compress'],
    ]) {
      assert.deepEqual(offered(...words, `${files}/`), [`${files}/undo`], words.join(' '));
    }
    assert.deepEqual(offered('--streams', ''), []);
  });

  test('offers the commands for the first word only', () => {
    assert.deepEqual(offered('inspec'), ['inspect']);
    assert.deepEqual(offered('vg/snap', 'inspec'), []);
    assert.deepEqual(offered('help', 'cy'), ['cycle']);
  });

  for (const command of COMMAND_TABLE.filter(({ isWord }) => isWord)) {
    test(`offers the options of ${command.name} only`, () => {
      const expected = optionsOf(command).flatMap(namesOf);
      assert.deepEqual(offered(command.name, '--'), expected);
    });
  }

  test('offers volumes, and the hosts of the configuration of ssh', () => {
    const home = scratchFolder();
    mkdirSync(join(home, '.ssh'));
    writeFileSync(join(home, '.ssh/config'), 'Host backup other\n  Port 22\nHost *.lan\n');
    const lvs = `lvs() { printf '  vg0/mail\\n  vg0/web\\n'; }`;
    assert.deepEqual(offeredWith(`${lvs}; HOME=${home}`, 'sync', 'vg0/m'), ['vg0/mail']);
    assert.deepEqual(offeredWith(`${lvs}; HOME=${home}`, 'vg0/mail', 'back'), ['backup:']);
  });

  test('gets a script without a fault', { skip: missingTool('shellcheck') }, () => {
    const path = join(folder, 'bash-completion/completions/lvmsync');
    assert.deepEqual(linesOf(['shellcheck', '-s', 'bash', path]), []);
  });
});

describe('zsh', { skip: missingTool('zsh') }, () => {
  const script = () => join(folder, 'zsh/vendor-completions/_lvmsync');

  test('offers exactly the spellings that exist, those of one option instead of each other', () => {
    const shown = linesOf([
      'zsh',
      '-fc',
      '_arguments() { print -rl -- "$@" }; source $1',
      'zsh',
      script(),
    ]);
    const specs = shown.filter((line) => /^(\(.*?\))?-[-\w]/.test(line) && line.includes('['));
    const spelled = specs.map((spec) => /^(?:\(.*?\))?(-[-\w]*\w)/.exec(spec)?.[1]);
    const expected = TABLE.flatMap(({ name, short, negatable }) => [
      ...(short === undefined ? [] : [`-${short}`]),
      `--${name}`,
      ...(negatable ? [`--no-${name}`] : []),
    ]);
    assert.deepEqual(spelled, expected);
    for (const { name, choices = [] } of CHOOSING) {
      assert(
        specs.some(
          (spec) => spec.startsWith(`--${name}=`) && spec.endsWith(`(${choices.join(' ')})`),
        ),
      );
    }
  });

  for (const command of COMMAND_TABLE.filter(({ isWord }) => isWord)) {
    test(`offers the options of ${command.name} only`, () => {
      const source = '_arguments() { print -rl -- "$@" }; words=(lvmsync $2); source $1';
      const shown = linesOf(['zsh', '-fc', source, 'zsh', script(), command.name]);
      const long = shown.flatMap((line) => /^(?:\(.*?\))?(--[-\w]*\w)/.exec(line)?.[1] ?? []);
      assert.deepEqual(long, optionsOf(command).flatMap(namesOf));
    });
  }

  test('completes in a terminal', () => {
    const path = join(folder, 'zsh/vendor-completions');
    const session = `
      zmodload zsh/zpty
      zpty it "TERM=dumb PS1= zsh -fi"
      zpty -w it 'unsetopt prompt_sp; fpath=($1 $fpath); autoload -Uz compinit; compinit -u -D; print rea\\dy'
      zpty -r it seen '*ready*'
      zpty -wn it $'lvmsync --snapback-o\\t'
      zpty -r -m it seen '*--snapback-overwrite*' && print found
      zpty -d it`;
    const words = linesOf(['timeout', '20', 'zsh', '-fc', session.replace('$1', path)]);
    assert(words.includes('found'), words.join('\n'));
  });
});

describe('fish', { skip: missingTool('fish') }, () => {
  /** What it offers for the line, each with its description. */
  function described(line: string): string[][] {
    const path = join(folder, 'fish/vendor_completions.d/lvmsync.fish');
    const shown = linesOf([
      'fish',
      '--no-config',
      '-c',
      'source $argv[1]; complete -C $argv[2]',
      path,
      line,
    ]);
    return shown.map((entry) => entry.split('\t'));
  }

  /** The same without the descriptions. */
  function offered(line: string): string[] {
    return described(line).map(([word = '']) => word);
  }

  test('offers exactly the long options that exist', () => {
    const options = offered('lvmsync --').map((word) => word.replace(/=$/, ''));
    assert.deepEqual([...new Set(options)].sort(), [...longOptions()].sort());
  });

  for (const command of COMMAND_TABLE.filter(({ isWord }) => isWord)) {
    test(`offers the options of ${command.name} only`, () => {
      const shown = offered(`lvmsync ${command.name} --`).map((word) => word.replace(/=$/, ''));
      const expected = [
        ...optionsOf(command).flatMap(namesOf),
        '--help',
        '--version',
        '--licenses',
      ];
      assert.deepEqual([...new Set(shown)].sort(), expected.sort());
    });

    test(`describes the options of ${command.name} in its own words`, () => {
      const rows = described(`lvmsync ${command.name} --`);
      for (const { name, brief } of optionsOf(command)) {
        const shown = rows.filter(([word = '']) => word.replace(/=$/, '') === `--${name}`);
        assert.deepEqual(new Set(shown.map(([, text]) => text)), new Set([brief]), name);
      }
    });
  }

  test('offers the short ones as well', () => {
    const letters = TABLE.flatMap(({ short }) => (short === undefined ? [] : [`-${short}`]));
    const shown = offered('lvmsync -').filter((word) => /^-\w$/.test(word));
    assert.deepEqual(shown.sort(), letters.sort());
  });

  test('offers the values of an option that has few', () => {
    for (const { name, choices = [] } of CHOOSING) {
      const values = offered(`lvmsync --${name}=`).map((word) => word.split('=')[1]);
      assert.deepEqual(values.sort(), [...choices].sort(), name);
    }
  });

  test('offers files where one is wanted, and the commands first', () => {
    assert.deepEqual(offered(`lvmsync --snapback ${files}/`), [`${files}/undo`]);
    assert(offered('lvmsync in').includes('inspect'));
    assert(!offered('lvmsync vg/snap in').includes('inspect'));
  });
});
