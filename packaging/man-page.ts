/** lvmsync(8) and a page for each command, made from what `--help` is made of. */

import { EXIT } from '../src/base/errors.js';
import { COMMAND_TABLE, type CommandSpec, type Example } from '../src/cli/command-table.js';
import {
  BY_SIGNAL,
  exitStatuses,
  GRAMMAR,
  GROUPS,
  INTRODUCTION,
  optionSignature,
  optionsOf,
  USAGE,
} from '../src/cli/help.js';
import { OPTION_TABLE, type OptionGroup, type OptionSpec } from '../src/cli/option-table.js';

export interface Edition {
  readonly version: string;
  readonly date: Date;
}

const ENVIRONMENT: readonly (readonly [name: string, meaning: string])[] = [
  [
    'LVMSYNC_IO_ENGINE',
    'How devices are read and written: "uring" for io_uring, "threads" for plain system calls. Without it io_uring is used where the kernel allows it; --verbose shows which.',
  ],
  [
    'TMPDIR',
    'Where temporary files go, the native part of the self-contained executable while it is loaded, and the lock files of users other than root. Give all runs the same value: with another one they do not see the locks of the others.',
  ],
];

const FILES: readonly (readonly [path: string, meaning: string])[] = [
  [
    '/run/lvmsync, $TMPDIR/lvmsync-UID',
    'The lock files of runs; those of users other than root are in lvmsync-UID in $TMPDIR or /tmp. They have no meaning after a reboot, and can be removed while no run is active.',
  ],
  [
    '/var/lib/lvmsync',
    'Records of the last run on each copy of a cycle, or after a run with --snapback, and of the metadata snaps of thin pools that a run holds. Users other than root have the first kind in $XDG_STATE_HOME/lvmsync, by default ~/.local/state/lvmsync.',
  ],
  [
    'DIR/chain.json, DIR/*.snapback, DIR/undone-*/',
    'The record and the restore points of a replica, in the directory given as --snapback to "lvmsync cycle". What a rollback undid lies in DIR/undone-*/.',
  ],
  [
    '/etc/lvmsync/cycle/NAME.conf',
    'The command line of the systemd units lvmsync-cycle@NAME.service and .timer.',
  ],
];

const SEE_ALSO = 'lvcreate(8), lvs(8), thin_dump(8), dmsetup(8), ssh(1), lz4(1)';

/** The source of the page in roff. */
export function formatManPage(edition: Edition): string {
  return [
    heading(edition),
    section(
      'NAME',
      'lvmsync \\- moves the changed blocks of LVM snapshots between volumes and hosts\n',
    ),
    section('SYNOPSIS', verbatim(USAGE.replace(/^Usage: /, '').replace(/^ {7}/gm, ''))),
    section('DESCRIPTION', INTRODUCTION.map((text) => `${prose(text)}\n`).join('.PP\n')),
    section('COMMANDS', COMMAND_TABLE.map(commandEntry).join('')),
    section('OPTIONS', `${prose(GRAMMAR)}\n${GROUPS.map(optionGroup).join('')}`),
    section(
      'EXIT STATUS',
      exitStatuses()
        .map(([status, meaning]) => entry(status, meaning))
        .join(''),
    ),
    section('FILES', FILES.map(([path, meaning]) => entry(path, meaning)).join('')),
    section('ENVIRONMENT', ENVIRONMENT.map(([name, meaning]) => entry(name, meaning)).join('')),
    section(
      'EXAMPLES',
      COMMAND_TABLE.flatMap(({ examples }) => examples.map(exampleEntry)).join(''),
    ),
    section('SEE ALSO', `${prose(`${pages()}, ${SEE_ALSO}`)}\n`),
  ].join('');
}

/** The same of one command. */
export function formatCommandPage(command: CommandSpec, edition: Edition): string {
  const { name, synopsis, summary, description, examples, statuses } = command;
  const options = optionsOf(command).map((option) => entry(optionSignature(option), option.help));
  const own = (['done', 'usage', ...statuses] as const).map((name) => String(EXIT[name]));
  const endings = exitStatuses()
    .filter(([status]) => own.includes(status) || status === BY_SIGNAL)
    .map(([status, meaning]) => entry(status, meaning));
  return [
    heading(edition, `lvmsync-${name}`),
    section('NAME', `${prose(`lvmsync-${name}`)} \\- ${prose(summary)}\n`),
    section('SYNOPSIS', verbatim(synopsis.map((line) => `lvmsync [OPTIONS] ${line}\n`).join(''))),
    section('DESCRIPTION', `${prose(description)}\n`),
    section('OPTIONS', `${prose(GRAMMAR)}\n${options.join('')}`),
    section('EXIT STATUS', endings.join('')),
    section('EXAMPLES', examples.map(exampleEntry).join('')),
    section('SEE ALSO', 'lvmsync(8)\n'),
  ].join('');
}

function commandEntry({ name, synopsis, description }: CommandSpec): string {
  const calls = synopsis.map((line) => `lvmsync ${line}`).join(', ');
  return entry(calls, `${description} See lvmsync-${name}(8).`);
}

function exampleEntry({ command, says }: Example): string {
  return entry(command, says);
}

function pages(): string {
  return COMMAND_TABLE.map(({ name }) => `lvmsync-${name}(8)`).join(', ');
}

function heading({ version, date }: Edition, title = 'lvmsync'): string {
  const day = date.toISOString().slice(0, 10);
  // Words are neither broken nor spread: an option that is looked for is found as it is typed.
  return `.TH ${title.toUpperCase()} 8 "${day}" "lvmsync ${version}" "System administration"\n.nh\n.ad l\n`;
}

function section(title: string, body: string): string {
  return `.SH ${title}\n${body}`;
}

function optionGroup(group: OptionGroup): string {
  const entries: readonly OptionSpec[] = OPTION_TABLE;
  const options = entries.filter((option) => option.group === group);
  const described = options.map((option) => entry(optionSignature(option), option.help));
  return `.SS ${group}\n${described.join('')}`;
}

function entry(term: string, meaning: string): string {
  return `.TP\n.B ${prose(term)}\n${prose(meaning)}\n`;
}

/** Lines that stay as they are. */
function verbatim(text: string): string {
  const lines = text.trimEnd().split('\n');
  return `.nf\n${lines.map((line) => `${prose(line)}\n`).join('')}.fi\n`;
}

const ROFF: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  '~': '\\(ti',
  '^': '\\(ha',
  '"': '\\(dq',
  "'": '\\(aq',
  '`': '\\(ga',
};

/** One line of text that roff prints as it stands. */
function prose(text: string): string {
  const escaped = text.replace(/[\\~^"'`-]/g, (character) => ROFF[character] ?? character);
  return /^[. ]/.test(escaped) ? `\\&${escaped}` : escaped;
}
