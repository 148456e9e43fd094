/** The texts of `--help`, made from the tables of commands, options and exit statuses; packaging/ makes the man pages of the same. */

import { EXIT, EXIT_MEANING, type ExitName } from '../base/errors.js';
import { COMMAND_TABLE, type CommandSpec } from './command-table.js';
import {
  OPTION_TABLE,
  type OptionEntry,
  type OptionGroup,
  type OptionSpec,
} from './option-table.js';

const WIDTH = 79;

/** The beginning of a command line, and then one line for each way to call it. */
export const USAGE = COMMAND_TABLE.flatMap(({ synopsis }) => synopsis)
  .map((line, index) => `${index === 0 ? 'Usage: ' : '       '}lvmsync [OPTIONS] ${line}\n`)
  .join('');

export const INTRODUCTION: readonly string[] = [
  'Brings a copy of a logical volume up to date by moving only the blocks that changed after a snapshot was taken.',
  'SNAPSHOT is an LVM snapshot: /dev/vg/lv, /dev/mapper/vg-lv or vg/lv. lvmsync sends the present data of the origin wherever it differs from SNAPSHOT, so the copy must hold what SNAPSHOT holds.',
  'DESTINATION is a block device or a regular file, written [[USER@]HOST:]PATH, or VG/LV for a volume. A "/" before the first ":" makes it local; write an IPv6 address in brackets.',
];

export const GROUPS: readonly OptionGroup[] = [
  'What to do',
  'Source',
  'Stream',
  'Remote host',
  'Destination',
  'Verify',
  'Undo',
  'Load',
  'Messages',
];

export const GRAMMAR =
  'Long options can be shortened; if a short form fits several options, an option of the Ruby lvmsync is preferred. Options and operands can be mixed; "--" ends the options.';

/** On the first screen: what a sync of a script or a beginner needs, that of the Ruby lvmsync first. */
const FIRST_OPTIONS: readonly OptionEntry['name'][] = [
  'snapback',
  'data-source',
  'rsh',
  'verbose',
  'quiet',
  'version',
  'help',
  'dry-run',
  'since',
  'compress',
  'streams',
  'max-cow-use',
  'force',
];

const OPTIONS: readonly OptionSpec[] = OPTION_TABLE;
/** Every command takes them; the general help shows them. */
const EVERYWHERE: readonly string[] = ['version', 'licenses', 'help'];

/** `lvmsync --help`: the commands, and the options of a plain sync. */
export function formatHelp(): string {
  const commands = COMMAND_TABLE.map(({ name, summary }) => `  ${name.padEnd(10)}${summary}\n`);
  const first = FIRST_OPTIONS.flatMap((name) => OPTIONS.filter((option) => option.name === name));
  return [
    'Usage: lvmsync [OPTIONS] SNAPSHOT DESTINATION\n       lvmsync COMMAND [OPTIONS] OPERANDS\n',
    INTRODUCTION.map((paragraph) => wrap(paragraph, 0)).join(''),
    `Commands:\n${commands.join('')}`,
    `Options of a sync:\n${first.map(optionLine).join('')}`,
    '"lvmsync help COMMAND" shows the options of a command, with examples;\n"lvmsync --licenses" the licenses of lvmsync and its parts.\n',
  ].join('\n');
}

/** `lvmsync help COMMAND`. */
export function formatCommandHelp(command: CommandSpec): string {
  const { synopsis, description, examples } = command;
  const usage = synopsis.map(
    (line, index) => `${index === 0 ? 'Usage: ' : '       '}lvmsync ${line}\n`,
  );
  const shown = examples.map(
    (example) => `${shownCommand(example.command)}\n      ${example.says}\n`,
  );
  return [
    usage.join(''),
    wrap(description, 0),
    `Options:\n${optionsOf(command).map(optionLine).join('')}`,
    `Examples:\n${shown.join('')}`,
    `Exit status: 0 done, 1 usage or other failure, 128+N signal N${statusLines(command)}`,
    `See also: lvmsync(8), lvmsync-${command.name}(8)\n`,
  ].join('\n');
}

/** A command that is too long for a line goes on in the next, as a shell takes it; an option keeps its value. */
export function shownCommand(command: string): string {
  const lines = [' '];
  for (const word of command.split(/ (?=[-|])/)) {
    const line = `${lines.at(-1)} ${word}`;
    if (line.length <= WIDTH - 2) lines[lines.length - 1] = line;
    else lines.push(`      ${word}`);
  }
  return lines.join(' \\\n');
}

/** In the order of the table and in the words for this command; without those that every command takes. */
export function optionsOf({ action }: CommandSpec): readonly OptionSpec[] {
  return OPTIONS.filter(
    ({ name, actions }) => actions.includes(action) && !EVERYWHERE.includes(name),
  ).map((option) => ({ ...option, ...option.meanings?.[action] }));
}

function statusLines({ statuses }: CommandSpec): string {
  const rows = [...statuses]
    .sort((a, b) => EXIT[a] - EXIT[b])
    .map((name) => `  ${String(EXIT[name]).padEnd(6)}${EXIT_MEANING[name]}\n`);
  return `${rows.length === 0 ? '' : ', and'}\n${rows.join('')}`;
}

const SIGNATURE_WIDTH = 28;

function optionLine(option: OptionSpec): string {
  const signature = `  ${optionSignature(option)}`;
  if (signature.length <= SIGNATURE_WIDTH - 2) {
    return `${signature.padEnd(SIGNATURE_WIDTH)}${option.brief}\n`;
  }
  return `${signature}  ${option.brief}\n`;
}

/** `-b, --snapback FILE`, `-v, --[no-]verbose`: also what docs/usage.md lists. */
export function optionSignature(option: OptionSpec): string {
  const { name, short, argument, negatable, withoutValue } = option;
  const dashed = negatable ? `--[no-]${name}` : `--${name}`;
  const value = withoutValue === undefined ? ` ${argument}` : `[=${argument}]`;
  const long = argument === undefined ? dashed : dashed + value;
  return short === undefined ? long : `-${short}, ${long}`;
}

/** The status of a run that a signal ended, as every command may. */
export const BY_SIGNAL = '128+N';

/** Every status a run can end with and what it means, ascending. */
export function exitStatuses(): readonly (readonly [status: string, meaning: string])[] {
  const named = exitNames().map((name) => [String(EXIT[name]), EXIT_MEANING[name]] as const);
  return [...named, [BY_SIGNAL, 'ended by signal N'] as const];
}

function exitNames(): readonly ExitName[] {
  const isExitName = (name: string): name is ExitName => name in EXIT;
  return Object.keys(EXIT)
    .filter(isExitName)
    .sort((a, b) => EXIT[a] - EXIT[b]);
}

/** Breaks a paragraph into lines of at most WIDTH characters. */
function wrap(paragraph: string, indent: number): string {
  const margin = ' '.repeat(indent);
  let text = '';
  let line = margin;
  for (const word of paragraph.split(' ')) {
    const joined = line === margin ? margin + word : `${line} ${word}`;
    if (joined.length > WIDTH && line !== margin) {
      text += `${line}\n`;
      line = margin + word;
    } else line = joined;
  }
  return `${text}${line}\n`;
}
