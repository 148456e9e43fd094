/** What the shells bash, zsh and fish complete after "lvmsync", made from the tables of commands and options. */

import { COMMAND_TABLE, COMMAND_WORDS, type CommandSpec } from '../src/cli/command-table.js';
import { optionsOf } from '../src/cli/help.js';
import { OPTION_TABLE, type OptionSpec } from '../src/cli/option-table.js';

const OPTIONS: readonly OptionSpec[] = OPTION_TABLE;

/** What `--help` calls values that are names of files or devices, and those that are programs. */
const NAMES_A_FILE: readonly string[] = ['FILE', 'DEVICE', 'OLD', 'DIR'];
const NAMES_A_PROGRAM: readonly string[] = ['PROGRAM', 'COMMAND'];

/** What is offered as the first word. */
export function commandWords(): readonly string[] {
  return [...COMMAND_WORDS, 'help'];
}

const WORDS: readonly CommandSpec[] = COMMAND_TABLE.filter(({ isWord }) => isWord);

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

export function formatBash(): string {
  return `\
# bash completion for lvmsync

# Volumes as VG/LV; only root can list them.
_lvmsync_volumes() {
  lvs --noheadings --separator / -o vg_name,lv_name 2>/dev/null | tr -d ' '
}

# Hosts that the configuration of ssh names, each with the colon before a path.
_lvmsync_hosts() {
  awk 'tolower($1) == "host" { for (i = 2; i <= NF; i++) if ($i !~ /[*?!]/) print $i ":" }' \
    "$HOME/.ssh/config" /etc/ssh/ssh_config 2>/dev/null
}

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
    -*)
      local options='${longOptions().join(' ')}'
      case \${COMP_WORDS[1]-} in
${WORDS.map(bashOptions).join('')}\
      esac
      mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
      ;;
    *)
      if [ "\${COMP_WORDS[1]-}" = help ] && [ "$COMP_CWORD" -eq 2 ]; then
        mapfile -t COMPREPLY < <(compgen -W '${COMMAND_TABLE.map(({ name }) => name).join(' ')}' -- "$word")
        return
      fi
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      compopt -o filenames 2>/dev/null
      local more
      more=$(_lvmsync_volumes; _lvmsync_hosts)
      if [ "$COMP_CWORD" -eq 1 ]; then more="$more ${commandWords().join(' ')}"; fi
      mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$more" -- "$word")
      ;;
  esac
}
complete -F _lvmsync lvmsync
`;
}

function bashOptions(command: CommandSpec): string {
  const names = optionsOf(command).flatMap(longNames);
  return `        ${command.name}) options='${names.join(' ')}' ;;\n`;
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
  const operands = `'1: :_lvmsync_first' '*:place:_lvmsync_place'`;
  return `\
#compdef lvmsync

_lvmsync_place() {
  local -a volumes hosts
  volumes=(\${(f)"$(lvs --noheadings --separator / -o vg_name,lv_name 2>/dev/null | tr -d ' ')"})
  hosts=(\${(f)"$(awk 'tolower($1) == "host" { for (i = 2; i <= NF; i++) if ($i !~ /[*?!]/) print $i }' ~/.ssh/config /etc/ssh/ssh_config 2>/dev/null)"})
  _alternative 'volumes:volume:compadd -a volumes' 'hosts:remote host:compadd -S : -a hosts' 'files:volume or file:_files'
}

_lvmsync_first() {
  local -a commands
  commands=(
${WORDS.map(({ name, summary }) => `    '${name}:${summary}'\n`).join('')}    'help:Show the help of a command'
  )
  _describe -t commands command commands
  _lvmsync_place
}

case \${words[2]-} in
${WORDS.map((command) => `  ${command.name})\n${zshArguments(optionsOf(command), operands)}    ;;\n`).join('')}\
  *)
${zshArguments(OPTIONS, operands)}    ;;
esac
`;
}

function zshArguments(options: readonly OptionSpec[], operands: string): string {
  const specs = options.flatMap(zshSpecs).map((spec) => `      ${spec} \\\n`);
  return `    _arguments -s -S \\\n${specs.join('')}      ${operands}\n`;
}

function zshSpecs(option: OptionSpec): string[] {
  const all = spellings(option);
  const others = all.length > 1 ? `(${all.join(' ')})` : '';
  const text = option.brief.replace(/[\\[\]:]/g, '\\$&');
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
  const commands = WORDS.map(
    ({ name, summary }) =>
      `complete -c lvmsync -n __fish_use_subcommand -a ${name} -d '${summary}'\n`,
  );
  return `\
# fish completion for lvmsync

# Whether an option goes with the command that was typed, if one was.
function __lvmsync_takes
    set -l words (commandline -opc)
    if not contains -- "$words[2]" ${COMMAND_WORDS.join(' ')}
        return 0
    end
    contains -- $words[2] $argv
end

# Whether that command was typed.
function __lvmsync_is
    set -l words (commandline -opc)
    test "$words[2]" = $argv[1]
end

complete -c lvmsync -n __fish_use_subcommand -a help -d 'Show the help of a command'
complete -c lvmsync -n '__fish_seen_subcommand_from help' -a '${COMMAND_TABLE.map(({ name }) => name).join(' ')}'
complete -c lvmsync -a '(lvs --noheadings --separator / -o vg_name,lv_name 2>/dev/null | string trim)'
complete -c lvmsync -a '(__fish_print_hostnames):'
${commands.join('')}${OPTIONS.flatMap(fishOptions).join('')}`;
}

/** In the words for a command where it has its own, and in the general ones for all others. */
function fishOptions(option: OptionSpec): string[] {
  const takers = WORDS.filter(({ action }) => option.actions.includes(action));
  const special = takers.filter(({ action }) => option.meanings?.[action] !== undefined);
  const others = takers.filter((command) => !special.includes(command));
  return [
    fishLines(option, `takes ${others.map(({ name }) => name).join(' ')}`),
    ...special.map(({ name, action }) =>
      fishLines({ ...option, ...option.meanings?.[action] }, `is ${name}`),
    ),
  ];
}

function fishLines(option: OptionSpec, condition: string): string {
  const { name, short, choices = [], negatable, withoutValue } = option;
  const values: Readonly<Record<ValueKind, string>> = {
    none: '',
    choice: ` -${withoutValue === undefined ? 'x' : 'f'} -a '${choices.join(' ')}'`,
    file: ' -r -F',
    program: " -x -a '(__fish_complete_command)'",
    other: ' -x',
  };
  const when = ` -n '__lvmsync_${condition}'`;
  const text = `${when} -d '${option.brief.replace(/[\\']/g, '\\$&')}'`;
  const letter = short === undefined ? '' : ` -s ${short}`;
  const line = `complete -c lvmsync${letter} -l ${name}${values[valueKind(option)]}${text}\n`;
  return negatable ? `${line}complete -c lvmsync -l no-${name}${text}\n` : line;
}
