/** What the shells bash, zsh and fish complete after "lvmsync", made from the table of options. */

import { USAGE } from '../src/cli/help.js';
import { OPTION_TABLE, type OptionSpec } from '../src/cli/option-table.js';

const OPTIONS: readonly OptionSpec[] = OPTION_TABLE;

/** What `--help` calls values that are names of files or devices, and those that are programs. */
const NAMES_A_FILE: readonly string[] = ['FILE', 'DEVICE', 'VOLUME'];
const NAMES_A_PROGRAM: readonly string[] = ['PROGRAM', 'COMMAND'];

/** The first operands that are not names of volumes, such as "inspect": the usage lines show them. */
export function commandWords(): readonly string[] {
  const shown = [...USAGE.matchAll(/lvmsync \[OPTIONS\] ([a-z]\S*)/g)];
  return [...new Set(shown.map(([, word = '']) => word))];
}

/** Every long option as it is typed, those that negate included. */
export function longOptions(): readonly string[] {
  return OPTIONS.flatMap(longNames);
}

function longNames({ name, negatable }: OptionSpec): string[] {
  return negatable ? [`--${name}`, `--no-${name}`] : [`--${name}`];
}

/** All that a person types to give the option, its value aside. */
function spellings(option: OptionSpec): readonly string[] {
  return option.short === undefined
    ? longNames(option)
    : [`-${option.short}`, ...longNames(option)];
}

type ValueKind = 'none' | 'choice' | 'file' | 'program' | 'other';

function valueKind({ argument, choices }: OptionSpec): ValueKind {
  if (argument === undefined) return 'none';
  if (choices !== undefined) return 'choice';
  if (NAMES_A_FILE.includes(argument)) return 'file';
  return NAMES_A_PROGRAM.includes(argument) ? 'program' : 'other';
}

/** The first sentence of the help, without what would end it early. */
function summary({ help }: OptionSpec): string {
  const [first = help] = help.split(/(?<=\.) |[:;] /);
  return first.replace(/\.$/, '');
}

export function formatBash(): string {
  return `\
# bash completion for lvmsync

_lvmsync() {
  local word=\${COMP_WORDS[COMP_CWORD]} before='' given=''
  # Bash makes a word of its own of the "=" in --option=value.
  if [ "$word" = = ]; then
    word='' before=\${COMP_WORDS[COMP_CWORD - 1]} given=yes
  elif [ "$COMP_CWORD" -ge 2 ] && [ "\${COMP_WORDS[COMP_CWORD - 1]}" = = ]; then
    before=\${COMP_WORDS[COMP_CWORD - 2]} given=yes
  elif [ "$COMP_CWORD" -ge 1 ]; then
    before=\${COMP_WORDS[COMP_CWORD - 1]}
  fi
  COMPREPLY=()
  case $before\${given:+=} in
${OPTIONS.flatMap(bashCase).join('')}\
  esac
  case $word in
    -*) mapfile -t COMPREPLY < <(compgen -W '${longOptions().join(' ')}' -- "$word") ;;
    *)
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      compopt -o filenames 2>/dev/null
      if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -W '${commandWords().join(' ')}' -- "$word")
      fi
      ;;
  esac
}
complete -F _lvmsync lvmsync
`;
}

/** The values after an option; a value that may be left out stands only after "=". */
function bashCase(option: OptionSpec): string[] {
  const kind = valueKind(option);
  if (kind === 'none') return [];
  const apart = option.withoutValue === undefined ? spellings(option) : [];
  const patterns = [...apart, ...longNames(option).map((name) => `${name}=`)];
  return [`    ${patterns.join(' | ')})\n${bashValues(kind, option)}      return\n      ;;\n`];
}

function bashValues(kind: ValueKind, { choices = [] }: OptionSpec): string {
  const reply = (words: string) => `      mapfile -t COMPREPLY < <(compgen ${words} -- "$word")\n`;
  switch (kind) {
    case 'choice':
      return reply(`-W '${choices.join(' ')}'`);
    case 'file':
      return `${reply('-f')}      compopt -o filenames 2>/dev/null\n`;
    case 'program':
      return reply('-c');
    case 'none':
    case 'other':
      return '';
  }
}

export function formatZsh(): string {
  const operands = `'1: :_lvmsync_first' '*:volume or file:_files'`;
  return `\
#compdef lvmsync

_lvmsync_first() {
  _alternative 'commands:command:(${commandWords().join(' ')})' 'files:volume or file:_files'
}

_arguments -s -S \\
${OPTIONS.flatMap(zshSpecs)
  .map((spec) => `  ${spec} \\\n`)
  .join('')}  ${operands}
`;
}

function zshSpecs(option: OptionSpec): string[] {
  const all = spellings(option);
  const others = all.length > 1 ? `(${all.join(' ')})` : '';
  const text = summary(option).replace(/[\\[\]:]/g, '\\$&');
  return all.map((spelling) => {
    const spec = `${others}${spelling}${zshJoint(option, spelling)}[${text}]${zshValue(option)}`;
    return `'${spec.replaceAll("'", "'\\''")}'`;
  });
}

/** How a value may follow: attached or as a word of its own, or only after "=". */
function zshJoint({ argument, withoutValue }: OptionSpec, spelling: string): string {
  if (argument === undefined) return '';
  if (!spelling.startsWith('--')) return '+';
  return withoutValue === undefined ? '=' : '=-';
}

function zshValue(option: OptionSpec): string {
  const { argument, withoutValue, choices = [] } = option;
  const actions: Readonly<Record<ValueKind, string>> = {
    none: '',
    choice: `(${choices.join(' ')})`,
    file: '_files',
    program: '_command_names',
    other: ' ',
  };
  if (argument === undefined) return '';
  return `${withoutValue === undefined ? ':' : '::'}${argument}:${actions[valueKind(option)]}`;
}

export function formatFish(): string {
  const commands = commandWords().map(
    (word) => `complete -c lvmsync -n __fish_use_subcommand -a ${word}\n`,
  );
  return `# fish completion for lvmsync\n${commands.join('')}${OPTIONS.map(fishLines).join('')}`;
}

function fishLines(option: OptionSpec): string {
  const { name, short, choices = [], negatable, withoutValue } = option;
  const values: Readonly<Record<ValueKind, string>> = {
    none: '',
    choice: ` -${withoutValue === undefined ? 'x' : 'f'} -a '${choices.join(' ')}'`,
    file: ' -r -F',
    program: " -x -a '(__fish_complete_command)'",
    other: ' -x',
  };
  const text = ` -d '${summary(option).replace(/[\\']/g, '\\$&')}'`;
  const letter = short === undefined ? '' : ` -s ${short}`;
  const line = `complete -c lvmsync${letter} -l ${name}${values[valueKind(option)]}${text}\n`;
  return negatable ? `${line}complete -c lvmsync -l no-${name}${text}\n` : line;
}
