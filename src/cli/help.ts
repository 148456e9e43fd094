/** The text of `--help`, made from the tables of options and exit statuses; packaging/ makes the man page of the same. */

import { EXIT, EXIT_MEANING, type ExitName } from '../base/errors.js';
import { OPTION_TABLE, type OptionGroup, type OptionSpec } from './option-table.js';

const WIDTH = 79;
const INDENT = 6;

export const USAGE = `\
Usage: lvmsync [OPTIONS] SNAPSHOT DESTINATION
       lvmsync [OPTIONS] --stdout SNAPSHOT > FILE
       lvmsync [OPTIONS] --apply FILE DESTINATION
       lvmsync [OPTIONS] inspect FILE...
       lvmsync [OPTIONS] verify SNAPSHOT|DEVICE DESTINATION
       lvmsync [OPTIONS] cycle VOLUME DESTINATION --snapback DIR
       lvmsync [OPTIONS] chain DIR [DESTINATION]
       lvmsync [OPTIONS] rollback DESTINATION [DIR]
       lvmsync [OPTIONS] doctor [SNAPSHOT] [DESTINATION]
       lvmsync [OPTIONS] bench [SNAPSHOT|DEVICE] [HOST]
`;

export const INTRODUCTION: readonly string[] = [
  'Brings a copy of a logical volume up to date by moving only the blocks that changed after a snapshot was taken.',
  'SNAPSHOT is an LVM snapshot: /dev/vg/lv, /dev/mapper/vg-lv or vg/lv. What is sent is what its origin holds now where the two differ, so the copy must hold what the snapshot holds.',
  'DESTINATION is a block device or a regular file, written [[USER@]HOST:]PATH, or VG/LV for a volume. A "/" before the first ":" makes it local; an IPv6 address stands in brackets.',
];

export const GROUPS: readonly OptionGroup[] = [
  'What to do',
  'Source',
  'Stream',
  'Other host',
  'Destination',
  'Verify',
  'Undo',
  'Load',
  'Messages',
];

export const GRAMMAR =
  'Long options may be shortened as far as they stay unique. Options and operands may be mixed; "--" ends the options.';

export const EXAMPLES = `\
Examples:
  lvmsync doctor vg0/mail-snap root@backup:/dev/vg1/mail
      says whether that would work, and what to install or change

  lvmsync bench vg0/mail-snap root@backup
      measures disk, LZ4 and link, and says which options to use

  lvmsync --snapback /root/undo /dev/vg0/mail-snap /dev/vg1/mail
      brings /dev/vg1/mail up to date and keeps what it overwrites

  lvmsync --apply /root/undo /dev/vg1/mail
      undoes that

  lvmsync inspect /root/undo
      says what is in it, and whether it is whole

  lvmsync rollback --to 2026-11-23T10:15 /dev/vg1/mail /backup/mail.chain
      goes back to the last point of a chain of snapbacks until then

  lvmsync cycle vg0/mail backup:/dev/vg1/mail --snapback /backup/mail.chain
      takes a turn of a copy of a thin volume, adding to that chain

  lvmsync vg0/mail-snap root@backup:/dev/vg1/mail
      brings a volume of the host backup up to date, over ssh

  lvmsync verify vg0/mail-snap root@backup:/dev/vg1/mail
      tells whether both now hold the same where the source had changed

  ssh source lvmsync --stdout vg0/mail-snap | lvmsync --apply - /dev/vg1/mail
      does it from the other end
`;

export function formatHelp(): string {
  return [
    USAGE,
    ...INTRODUCTION.map((paragraph) => wrap(paragraph, 0)),
    ...GROUPS.map(formatGroup),
    wrap(GRAMMAR, 0),
    formatExitStatuses(),
    EXAMPLES,
  ].join('\n');
}

function formatGroup(group: OptionGroup): string {
  const entries: readonly OptionSpec[] = OPTION_TABLE;
  const options = entries.filter((entry) => entry.group === group);
  return `${group}:\n${options.map(formatOption).join('')}`;
}

function formatOption(option: OptionSpec): string {
  return `  ${optionSignature(option)}\n${wrap(option.help, INDENT)}`;
}

/** `-b, --snapback FILE`, `-v, --[no-]verbose`: also what docs/usage.md lists. */
export function optionSignature(option: OptionSpec): string {
  const { name, short, argument, negatable, withoutValue } = option;
  const dashed = negatable ? `--[no-]${name}` : `--${name}`;
  const value = withoutValue === undefined ? ` ${argument}` : `[=${argument}]`;
  const long = argument === undefined ? dashed : dashed + value;
  return short === undefined ? long : `-${short}, ${long}`;
}

function formatExitStatuses(): string {
  const rows = exitStatuses().map(([status, meaning]) => `  ${status.padEnd(6)}${meaning}\n`);
  return `Exit status:\n${rows.join('')}`;
}

/** Every status a run can end with and what it means, ascending. */
export function exitStatuses(): readonly (readonly [status: string, meaning: string])[] {
  const named = exitNames().map((name) => [String(EXIT[name]), EXIT_MEANING[name]] as const);
  return [...named, ['128+N', 'ended by signal N'] as const];
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
