/** lvmsync(8), made from what `--help` is made of. */

import {
  EXAMPLES,
  exitStatuses,
  GRAMMAR,
  GROUPS,
  INTRODUCTION,
  optionSignature,
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
    'How devices are read and written: "uring" for io_uring, "threads" for plain system calls. Without it io_uring is used where the kernel allows it; --verbose says which.',
  ],
  [
    'TMPDIR',
    'Where the self-contained executable puts its native part while it loads it; other places are tried too.',
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
    section('OPTIONS', `${prose(GRAMMAR)}\n${GROUPS.map(optionGroup).join('')}`),
    section(
      'EXIT STATUS',
      exitStatuses()
        .map(([status, meaning]) => entry(status, meaning))
        .join(''),
    ),
    section('ENVIRONMENT', ENVIRONMENT.map(([name, meaning]) => entry(name, meaning)).join('')),
    section('EXAMPLES', verbatim(EXAMPLES.replace(/^Examples:\n/, '').replace(/^ {2}/gm, ''))),
    section('SEE ALSO', `${prose(SEE_ALSO)}\n`),
  ].join('');
}

function heading({ version, date }: Edition): string {
  const day = date.toISOString().slice(0, 10);
  // Words are neither broken nor spread: an option that is looked for is found as it is typed.
  return `.TH LVMSYNC 8 "${day}" "lvmsync ${version}" "System administration"\n.nh\n.ad l\n`;
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
