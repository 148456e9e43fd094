/**
 * Every command there is: what `lvmsync help COMMAND`, the man pages and the completions say of it. Which options it takes
 * stands in the table of options.
 */

import type { ExitName } from '../base/errors.js';
import type { Action } from './option-table.js';

export interface CommandSpec {
  /** As `lvmsync help NAME` takes it. */
  readonly name: string;
  readonly action: Action;
  /** It is asked for by its name as the first word; else by an option, or by nothing. */
  readonly isWord: boolean;
  /** Without "lvmsync [OPTIONS] ". */
  readonly synopsis: readonly string[];
  /** In the list of all commands. */
  readonly summary: string;
  /** Sentences; three lines together. */
  readonly description: string;
  readonly examples: readonly Example[];
  /** Its exit statuses, besides 0, 1 and 128+N. */
  readonly statuses: readonly ExitName[];
}

export interface Example {
  readonly command: string;
  readonly says: string;
}

const WRITING: readonly ExitName[] = ['destinationUnfit', 'destinationWrite', 'snapback', 'locked'];
const READING: readonly ExitName[] = ['sourceUnfit', 'sourceRead', 'pool'];
const STREAM: readonly ExitName[] = ['streamTruncated', 'streamCorrupt'];
/** A receiver that fails has its own status here, too. */
const SENDING: readonly ExitName[] = [...READING, ...WRITING, ...STREAM, 'transport'];
/** A stream may say that its sender gave up, and why. */
const GAVE_UP: readonly ExitName[] = ['sourceUnfit', 'sourceRead'];

export const COMMAND_TABLE: readonly CommandSpec[] = [
  {
    name: 'sync',
    action: 'sync',
    isWord: false,
    synopsis: ['SNAPSHOT DESTINATION'],
    summary: 'Bring a copy up to date (no command word)',
    description:
      'Sends the blocks of the origin that changed since SNAPSHOT was taken. DESTINATION must already hold what SNAPSHOT holds: make the first copy with dd from SNAPSHOT. With --snapback the run can be undone, on the host of DESTINATION.',
    examples: [
      {
        command: 'lvmsync --snapback /root/undo vg0/mail-snap /dev/vg1/mail',
        says: 'to a volume of this host; /root/undo saves the overwritten blocks',
      },
      {
        command: 'lvmsync vg0/mail-snap root@backup:/dev/vg1/mail',
        says: 'to a volume of the remote host backup, over ssh',
      },
      {
        command: 'lvmsync --since vg0/mail-old vg0/mail-new /dev/vg1/mail',
        says: 'thin volumes: what changed between two snapshots',
      },
    ],
    statuses: SENDING,
  },
  {
    name: 'stdout',
    action: 'dump',
    isWord: false,
    synopsis: ['--stdout SNAPSHOT > FILE'],
    summary: 'Write the changes to a file or a pipe (--stdout)',
    description:
      'Writes the blocks that changed since SNAPSHOT was taken to standard output. "lvmsync --apply" writes them to a copy, here or on a remote host. The file holds disk content: create it under "umask 077".',
    examples: [
      {
        command: 'lvmsync --stdout vg0/mail-snap | ssh root@backup lvmsync --apply - /dev/vg1/mail',
        says: 'through your own pipe',
      },
      {
        command: '(umask 077; lvmsync --stdout --compress=lz4 vg0/mail-snap > mail.changes)',
        says: 'into a compressed file that only you can read',
      },
    ],
    statuses: [...READING, 'destinationUnfit', 'destinationWrite', 'transport', 'locked'],
  },
  {
    name: 'apply',
    action: 'apply',
    isWord: false,
    synopsis: ['--apply FILE DESTINATION'],
    summary: 'Write changes, or undo a run (--apply)',
    description:
      'Writes the changes in FILE to DESTINATION, both on this host: a change stream brings a copy up to date, a snapback undoes the run that made it. "-" reads standard input. Each group of blocks is checked by its hash before it is written; a classic stream has no hashes.',
    examples: [
      { command: 'lvmsync --apply /root/undo /dev/vg1/mail', says: 'undoes a run' },
      {
        command: 'lvmsync --apply mail.changes --snapback /root/undo /dev/vg1/mail',
        says: 'applies a file, and keeps what it overwrites',
      },
    ],
    statuses: ['partlyBeyondEnd', ...GAVE_UP, ...WRITING, ...STREAM],
  },
  {
    name: 'inspect',
    action: 'inspect',
    isWord: true,
    synopsis: ['inspect FILE...'],
    summary: 'Show what a change stream or snapback holds',
    description:
      'Reads and checks each FILE, and shows which device it belongs to, how much data it holds and where. Nothing is written.',
    examples: [
      {
        command: 'lvmsync inspect /root/undo',
        says: 'is it complete, and which device does it belong to?',
      },
    ],
    statuses: [...GAVE_UP, 'destinationUnfit', 'destinationWrite', ...STREAM],
  },
  {
    name: 'changes',
    action: 'changes',
    isWord: true,
    synopsis: ['changes SNAPSHOT [--since OLD]'],
    summary: 'List what changed, for other programs',
    description:
      'Lists the extents that a sync of SNAPSHOT would send, in ascending order: a line "OFFSET LENGTH data" or "OFFSET LENGTH zero" for each, in bytes. No data is read, and nothing is written. Status 0 means that the list is complete.',
    examples: [
      { command: 'lvmsync changes vg0/mail-snap > mail.list', says: 'what changed since then' },
      {
        command: 'lvmsync changes --output json --since vg0/web-old vg0/web-new > web.json',
        says: 'thin volumes: the differences between two snapshots, as a document',
      },
      { command: 'lvmsync changes --summary vg0/mail-snap', says: 'how much, and where' },
    ],
    statuses: [...READING, 'destinationUnfit', 'destinationWrite', 'locked'],
  },
  {
    name: 'verify',
    action: 'verify',
    isWord: true,
    synopsis: ['verify SNAPSHOT|DEVICE DESTINATION'],
    summary: 'Check that a copy matches, and repair it',
    description:
      'Compares the blocks that a sync of SNAPSHOT would send with DESTINATION, by hashes if it is on a remote host. --full compares everything; then any device or file can stand for SNAPSHOT. --repair sends what differs. Make sure that nothing writes to either end.',
    examples: [
      {
        command: 'lvmsync verify vg0/mail-snap root@backup:/dev/vg1/mail',
        says: 'after a sync',
      },
      {
        command: 'lvmsync verify --full --repair vg0/mail-snap /dev/vg1/mail',
        says: 'compares everything and repairs the copy',
      },
    ],
    statuses: ['different', ...SENDING],
  },
  {
    name: 'cycle',
    action: 'cycle',
    isWord: true,
    synopsis: [
      'cycle [--end] [HOST:]VOLUME DESTINATION --snapback DIR',
      'cycle --serve [--end] VOLUME [NAME]',
    ],
    summary: 'Keep a replica with restore points, run by run',
    description:
      'Takes a snapshot of VOLUME, sends what changed since the last, and removes that. DIR, on the host of DESTINATION, keeps the restore points.',
    examples: [
      {
        command: 'lvmsync cycle --init vg0/web backup:/dev/vg1/web -b /backup/web.chain',
        says: 'the first run, of a thin volume',
      },
      {
        command: 'lvmsync cycle --size auto vg0/db backup:/dev/vg1/db -b /backup/db.chain',
        says: 'each further run, of a thick volume',
      },
    ],
    statuses: SENDING,
  },
  {
    name: 'chain',
    action: 'chain',
    isWord: true,
    synopsis: ['chain DIR [DESTINATION]'],
    summary: 'List the restore points of a replica',
    description:
      'Lists the restore points in DIR, the directory given as --snapback to "lvmsync cycle". With DESTINATION it also checks whether that is the copy they belong to. Nothing is changed.',
    examples: [
      {
        command: 'lvmsync chain /backup/mail.chain /dev/vg1/mail',
        says: 'on the host of the copy',
      },
    ],
    statuses: ['destinationUnfit', 'destinationWrite', 'streamCorrupt', 'snapback'],
  },
  {
    name: 'rollback',
    action: 'rollback',
    isWord: true,
    synopsis: ['rollback --to TIME|--steps N|--redo DESTINATION [DIR]'],
    summary: 'Return a replica to a restore point',
    description:
      'Returns DESTINATION to a restore point that "lvmsync chain" lists. Everything it needs is checked before the first write. Without DIR, the current directory is taken. --redo undoes the last rollback.',
    examples: [
      {
        command: 'lvmsync rollback --to 2026-11-23T10:15 /dev/vg1/mail /backup/mail.chain',
        says: 'to the newest restore point at or before that time',
      },
      {
        command: 'lvmsync rollback --redo /dev/vg1/mail /backup/mail.chain',
        says: 'and forward again',
      },
    ],
    statuses: [...WRITING, ...STREAM],
  },
  {
    name: 'status',
    action: 'status',
    isWord: true,
    synopsis: ['status'],
    summary: 'Show all cycles and copies of this host',
    description:
      'Shows every cycle whose volume is on this host and every copy that this host keeps: how old the newest restore point is, how full the snapshots are, what is wrong, and the command that mends it. Root sees the cycles; another user only the copies of that user. Nothing is changed or locked.',
    examples: [
      { command: 'lvmsync status', says: 'what does this host know, and is all well?' },
      {
        command: 'lvmsync status --max-age 3h --json',
        says: 'for monitoring: a restore point older than three hours is trouble, too',
      },
    ],
    statuses: ['attention', 'sourceUnfit', 'destinationWrite', 'snapback'],
  },
  {
    name: 'doctor',
    action: 'doctor',
    isWord: true,
    synopsis: ['doctor [SNAPSHOT|-] [DESTINATION]'],
    summary: 'Check what a run needs, here and on the remote host',
    description:
      'Checks the tools, the source, the destination and the remote host, and shows what to install or change. "-" stands for a host that only holds copies. Nothing is changed.',
    examples: [
      {
        command: 'lvmsync doctor vg0/mail-snap root@backup:/dev/vg1/mail',
        says: 'would this sync work?',
      },
    ],
    statuses: ['destinationWrite'],
  },
  {
    name: 'bench',
    action: 'bench',
    isWord: true,
    synopsis: ['bench [SNAPSHOT|DEVICE] [HOST:]'],
    summary: 'Measure disk and link, and suggest options',
    description:
      'Measures how fast the source can be read, hashed and compressed, and how fast the link to HOST is. Nothing is written unless --scratch names a new file. For a thin snapshot, the metadata snap of the pool is reserved for a moment.',
    examples: [
      { command: 'lvmsync bench vg0/mail-snap root@backup:', says: 'the source and the link' },
    ],
    statuses: [...READING, 'destinationUnfit', 'destinationWrite', 'transport', 'locked'],
  },
];

/** Undefined for the remote side of a verify, which nobody types. */
export function commandOf(action: Action): CommandSpec | undefined {
  return COMMAND_TABLE.find((command) => command.action === action);
}

/** Where its usage can be read; undefined: the commands there are. */
export function usageHint(command: Pick<CommandSpec, 'name'> | undefined): string {
  return `"lvmsync ${command === undefined ? '--help' : `help ${command.name}`}" shows the usage.`;
}

/** The words that ask for a command where they stand first. */
export const COMMAND_WORDS: readonly string[] = COMMAND_TABLE.flatMap(({ name, isWord }) =>
  isWord ? [name] : [],
);
