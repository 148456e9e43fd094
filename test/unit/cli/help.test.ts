import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EXIT, EXIT_MEANING, type ExitName } from '../../../src/base/errors.js';
import { splitWords } from '../../../src/base/shell-words.js';
import { COMMAND_TABLE, COMMAND_WORDS, type CommandSpec } from '../../../src/cli/command-table.js';
import {
  exitStatuses,
  formatCommandHelp,
  formatHelp,
  optionSignature,
  optionsOf,
  shownCommand,
} from '../../../src/cli/help.js';
import { checkActions } from '../../../src/cli/option-checks.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { OPTION_TABLE, type OptionEntry } from '../../../src/cli/option-table.js';
import { toCommand } from '../../../src/cli/parse.js';

const TEXTS = [
  { what: 'all', text: formatHelp() },
  ...COMMAND_TABLE.map((command) => ({ what: command.name, text: formatCommandHelp(command) })),
];

describe('every help', () => {
  for (const { what, text } of TEXTS) {
    const lines = text.split('\n');

    test(`is of lines under 80 columns: ${what}`, () => {
      const long = lines.filter((line) => line.length >= 80);
      assert.deepEqual(long, []);
    });

    test(`fits a screen, or 60 lines for a command: ${what}`, () => {
      assert.ok(lines.length <= (what === 'all' ? 45 : 60), `${lines.length} lines`);
    });

    test(`ends in one newline and has no blanks at line ends: ${what}`, () => {
      assert.match(text, /[^\n]\n$/);
      assert.doesNotMatch(text, / \n/);
    });
  }
});

describe('the help of a command', () => {
  test('names the remote host only where there can be one', () => {
    for (const command of COMMAND_TABLE) {
      const takesHost = optionsOf(command).some(({ name }) => name === 'rsh');
      const nice = optionsOf(command).find(({ name }) => name === 'nice');
      if (nice === undefined) continue;
      for (const text of [nice.brief, nice.help]) {
        assert.equal(/remote/.test(text), takesHost, `${command.name}: ${text}`);
      }
    }
  });

  test('says of --streams that a bench measures with them', () => {
    const bench = COMMAND_TABLE.find(({ name }) => name === 'bench');
    assert.match(formatCommandHelp(bench!), /--streams N +measure the link with N/);
  });

  test('of a cycle gives each of its examples a volume of its own', () => {
    const { examples = [] } = COMMAND_TABLE.find(({ name }) => name === 'cycle') ?? {};
    const volumes = examples.map(({ command }) => / (vg0\/\w+) /.exec(command)?.[1]);
    assert.equal(new Set(volumes).size, examples.length);
  });
});

describe('the help of all', () => {
  test('shows every command with what it does', () => {
    for (const { name, summary } of COMMAND_TABLE) {
      assert.match(
        formatHelp(),
        new RegExp(`^  ${name} +${summary.replace(/[()]/g, '\\$&')}$`, 'm'),
      );
    }
  });

  test("shows the Ruby lvmsync's options first", () => {
    const shown = [...formatHelp().matchAll(/^ {2}(?:-\w, )?--(?:\[no-\])?([a-z-]+)/gm)];
    const kinds = shown.map(([, name]) => OPTION_TABLE.find((one) => one.name === name)?.from);
    assert.deepEqual(kinds, [...kinds].sort());
  });
});

describe('the help of a command', () => {
  for (const command of COMMAND_TABLE) {
    const text = formatCommandHelp(command);

    test(`shows the options that ${command.name} takes, and no others`, () => {
      const shown = text.split('\n').filter((line) => /^ {2}-/.test(line));
      const expected = optionsOf(command).map(optionSignature);
      assert.equal(shown.length, expected.length);
      for (const [index, signature] of expected.entries()) {
        assert.ok(shown[index]?.startsWith(`  ${signature}  `), `${shown[index]}`);
      }
      for (const entry of OPTION_TABLE) {
        const taken = optionsOf(command).some(({ name }) => name === entry.name);
        const check = () => checkActions([entry], command.action, command.name);
        if (taken)
          assert.deepEqual(
            check().filter((line) => !/deprecated/.test(line)),
            [],
          );
        else if (!['help', 'version', 'licenses', 'rsh'].includes(entry.name))
          assert.throws(check, entry.name);
      }
    });

    test(`shows examples of ${command.name} that are understood`, () => {
      assert.notEqual(command.examples.length, 0);
      for (const example of command.examples) {
        assert.ok(text.includes(`${shownCommand(example.command)}\n      ${example.says}\n`));
        const typed = shownCommand(example.command).replace(/ \\\n +/g, ' ');
        assert.equal(typed, `  ${example.command}`);
        const [, line = ''] = /(lvmsync [^|>)]*)/.exec(example.command) ?? [];
        const { kind } = toCommand(parseOptions(splitWords(line).slice(1)));
        assert.equal(kind, command.action);
      }
    });

    test(`shows what ${command.name} can end with`, () => {
      for (const name of command.statuses) {
        assert.match(text, new RegExp(`^  ${EXIT[name]} +`, 'm'));
        assert.ok(text.includes(EXIT_MEANING[name]));
      }
    });

    for (const words of [['help', command.name], ...asked(command.name)]) {
      test(`is printed for: lvmsync ${words.join(' ')}`, () => {
        const found = toCommand(parseOptions(words));
        assert.deepEqual(found, { kind: 'help', about: command });
      });
    }
  }

  function asked(name: string): string[][] {
    if (COMMAND_WORDS.includes(name))
      return [
        [name, '--help'],
        [name, 'vg/lv', '-h'],
      ];
    if (name === 'apply') return [['--apply', 'FILE', '--help']];
    return name === 'stdout' ? [['--stdout', '--help']] : [];
  }

  for (const words of [['--help'], ['help'], ['-h', 'cycle'], ['vg/snap', '--help']]) {
    test(`is not printed for: lvmsync ${words.join(' ')}`, () => {
      assert.deepEqual(toCommand(parseOptions(words)), { kind: 'help' });
    });
  }

  test('is not there for what is no command: what was meant is said', () => {
    assert.throws(() => toCommand(parseOptions(['help', 'verfy'])), {
      message: 'unknown command "verfy"',
      hint: 'Did you mean "verify"?',
    });
    assert.throws(() => toCommand(parseOptions(['help', 'nothing'])), {
      hint: /^The commands are sync, /,
    });
  });
});

describe('the statuses of a command', () => {
  const statusesOf = (name: string): readonly ExitName[] =>
    COMMAND_TABLE.find((command) => command.name === name)?.statuses ?? [];
  const including = (...wanted: ExitName[]) =>
    COMMAND_TABLE.filter(({ statuses }) => wanted.every((one) => statuses.includes(one)));
  const namesOf = (commands: readonly CommandSpec[]) => commands.map(({ name }) => name);
  const taking = (option: OptionEntry['name']) =>
    COMMAND_TABLE.filter((command) => optionsOf(command).some(({ name }) => name === option));

  for (const { name, statuses } of COMMAND_TABLE) {
    test(`are named once each: ${name}`, () => {
      assert.equal(new Set(statuses).size, statuses.length);
    });

    test(`have that of an answer that cannot be written: ${name}`, () => {
      assert.ok(statuses.includes('destinationWrite'));
    });
  }

  test('have those of a source and its pool wherever one is read', () => {
    const reading = including('sourceUnfit', 'sourceRead', 'pool', 'locked');
    assert.deepEqual(namesOf(reading), ['sync', 'stdout', 'changes', 'verify', 'cycle', 'bench']);
  });

  test('have those of the receiver wherever there is one', () => {
    // A stream that is sent to be answered says how large its source is.
    const received = statusesOf('apply').filter((one) => one !== 'partlyBeyondEnd');
    const sending = including(...received, 'transport');
    assert.deepEqual(namesOf(sending), ['sync', 'verify', 'cycle']);
  });

  test('have that of a connection wherever one is made, but for the doctor, who reports it', () => {
    const connecting = namesOf(taking('rsh')).filter((name) => name !== 'doctor');
    for (const name of connecting) assert.ok(statusesOf(name).includes('transport'), name);
  });

  test('have that of a snapback or chain wherever one is written or read', () => {
    for (const { name } of taking('snapback').filter((one) => one.name !== 'doctor'))
      assert.ok(statusesOf(name).includes('snapback'), name);
    assert.ok(statusesOf('chain').includes('snapback'));
    assert.ok(statusesOf('rollback').includes('snapback'));
  });

  test('have those of a stream whose sender gave up wherever one is read from a file', () => {
    const reading = including('sourceUnfit', 'sourceRead', 'streamTruncated', 'streamCorrupt');
    assert.deepEqual(namesOf(reading), ['sync', 'apply', 'inspect', 'verify', 'cycle']);
  });

  test('have that of standard output that leads to what is read', () => {
    for (const name of ['stdout', 'inspect', 'changes'])
      assert.ok(statusesOf(name).includes('destinationUnfit'), name);
  });
});

describe('exit statuses', () => {
  test('are shown with their meanings, in ascending order', () => {
    const known = Object.values(EXIT).sort((a, b) => a - b);
    const shown = exitStatuses().map(([status]) => status);
    assert.deepEqual(shown, [...known.map(String), '128+N']);
  });

  test('have one meaning each', () => {
    const statuses = exitStatuses().map(([status]) => status);
    assert.equal(new Set(statuses).size, statuses.length);
  });
});

describe('an option that means something else to one command', () => {
  const lineIn = (name: string, option: string): string | undefined => {
    const command = COMMAND_TABLE.find((one) => one.name === name);
    const lines = command && formatCommandHelp(command).split('\n');
    return lines?.find((line) => line.startsWith('  -') && line.includes(`--${option} `));
  };

  for (const { command, option, words } of [
    { command: 'sync', option: 'snapback', words: /FILE +save the overwritten blocks/ },
    { command: 'cycle', option: 'snapback', words: /DIR +directory of restore points/ },
    { command: 'doctor', option: 'snapback', words: /FILE +check whether/ },
    { command: 'apply', option: 'init', words: /--init +with --chain/ },
    { command: 'cycle', option: 'init', words: /--init +start the history/ },
  ])
    test(`is explained for it: lvmsync help ${command}, --${option}`, () => {
      assert.match(lineIn(command, option) ?? '', words);
    });
});

test('the last line of the help of all names --licenses', () => {
  assert.match(formatHelp(), /"lvmsync --licenses" .*\n$/);
});

test('signatures begin with the short name', () => {
  const signatures = OPTION_TABLE.map(optionSignature);
  assert(signatures.includes('-b, --snapback FILE'));
  assert(signatures.includes('-v, --[no-]verbose'));
  assert(signatures.includes('--force'));
});
