/**
 * Every option there is. The parser, the checks of what goes with what, and the help text all read
 * this table, so an option is added here and, where it has a meaning, in parse.ts. Commands: command-table.
 */

/** What a run can be asked to do, apart from printing the version or the help. */
export type Action =
  | 'apply'
  | 'dump'
  | 'sync'
  | 'inspect'
  | 'verify'
  | 'hash'
  | 'chain'
  | 'cycle'
  | 'rollback'
  | 'doctor'
  | 'bench';

export type OptionGroup =
  | 'What to do'
  | 'Source'
  | 'Stream'
  | 'Other host'
  | 'Destination'
  | 'Verify'
  | 'Undo'
  | 'Load'
  | 'Messages';

export interface OptionSpec {
  /** The long name, without its dashes. */
  readonly name: string;
  readonly short?: string;
  /** Takes a value, called so in the help. Without it the option is a flag. */
  readonly argument?: string;
  /** The value may be left out, and then is this; it can only be attached with "=". */
  readonly withoutValue?: string;
  /** Given again, it adds to the value, after a comma. */
  readonly repeatable?: true;
  /** The only values accepted, where they are few. */
  readonly choices?: readonly string[];
  /** Has a `--no-` form. */
  readonly negatable?: true;
  /** Nothing after it on the command line is looked at. */
  readonly stops?: true;
  /** Abbreviations that suit an option of the Ruby lvmsync mean that one, whatever else they suit. */
  readonly from: 'original' | 'ours';
  /** The actions it has a meaning for; with the others it is refused. */
  readonly actions: readonly Action[];
  /** Where the Ruby lvmsync let it pass without effect and no harm can come of it: only warn. */
  readonly harmlessElsewhere?: true;
  readonly group: OptionGroup;
  /** In the help of a command: beside the option, on the same line. */
  readonly brief: string;
  readonly help: string;
}

const ANY: readonly Action[] = [
  'apply',
  'dump',
  'sync',
  'inspect',
  'verify',
  'hash',
  'chain',
  'cycle',
  'rollback',
  'doctor',
  'bench',
];
/** Those that name what to read. */
const SOURCES: readonly Action[] = ['dump', 'sync', 'verify'];
const READING: readonly Action[] = [...SOURCES, 'cycle'];
const REMOTE: readonly Action[] = ['sync', 'verify', 'cycle', 'doctor', 'bench'];
const WORKING: readonly Action[] = [...READING, 'apply', 'hash', 'rollback'];

export const OPTION_TABLE = [
  {
    name: 'apply',
    short: 'a',
    argument: 'FILE',
    from: 'original',
    actions: ['apply'],
    group: 'What to do',
    brief: 'write the changes in FILE ("-": standard input)',
    help: 'Write the changes recorded in FILE, a change stream or a snapback, to the destination; "-" reads them from standard input.',
  },
  {
    name: 'stdout',
    short: 's',
    from: 'original',
    actions: ['dump'],
    group: 'What to do',
    brief: 'write the changes to standard output',
    help: 'Write the changes to standard output, for a file or a pipe, instead of to a destination.',
  },
  {
    name: 'server',
    from: 'original',
    actions: ['apply'],
    group: 'What to do',
    brief: 'old spelling of "--apply -"',
    help: 'Old spelling of "--apply -".',
  },
  {
    name: 'hash-blocks',
    from: 'ours',
    actions: ['hash'],
    group: 'What to do',
    brief: 'internal: serves "lvmsync verify" on another host',
    help: 'What "lvmsync verify" runs on the other host: standard input asks for hashes of the destination.',
  },
  {
    name: 'dry-run',
    from: 'ours',
    actions: ['apply', 'dump', 'sync', 'cycle', 'rollback'],
    group: 'What to do',
    brief: 'check everything, report it, write nothing',
    help: 'Check everything, here and on the other host, say what would be done, and write nothing; only the metadata snap of a thin pool is reserved for a moment. The status is that with which the run would be refused.',
  },
  {
    name: 'version',
    short: 'V',
    stops: true,
    from: 'original',
    actions: ANY,
    group: 'What to do',
    brief: 'print the version',
    help: 'Print the version.',
  },
  {
    name: 'help',
    short: 'h',
    stops: true,
    from: 'original',
    actions: ANY,
    group: 'What to do',
    brief: 'print the help, of a command if one is named',
    help: 'Print the commands and the options of a sync or, where a command is named, what that command takes.',
  },
  {
    name: 'data-source',
    short: 'r',
    argument: 'DEVICE',
    from: 'original',
    actions: SOURCES,
    group: 'Source',
    brief: 'read the data from DEVICE, not from the origin',
    help: "Read the changed data from DEVICE instead of the snapshot's origin, for example from a newer snapshot that no longer changes.",
  },
  {
    name: 'since',
    argument: 'OLD',
    from: 'ours',
    actions: SOURCES,
    group: 'Source',
    brief: 'thin: send the differences between OLD and SNAPSHOT',
    help: 'For thin volumes: send the differences between OLD, such as an older snapshot, and SNAPSHOT, which may be any volume of the same pool; the data are read from SNAPSHOT.',
  },
  {
    name: 'cow-store',
    argument: 'FILE',
    from: 'ours',
    actions: SOURCES,
    group: 'Source',
    brief: 'read the list of changes from FILE, without LVM',
    help: 'Read the list of changes from FILE, the COW store of a thick snapshot, without asking LVM. Takes the place of SNAPSHOT and needs --data-source.',
  },
  {
    name: 'require-quiet',
    from: 'ours',
    actions: READING,
    group: 'Source',
    brief: 'fail if the source is written during the run',
    help: 'Fail if the device that the data are read from is written during the run. Without it this is a warning.',
  },
  {
    name: 'max-cow-use',
    argument: 'PERCENT',
    from: 'ours',
    actions: ['dump', 'sync', 'cycle'],
    group: 'Source',
    brief: 'stop cleanly when the snapshot is this full',
    help: 'End the run cleanly when the COW store of a thick snapshot that it reads, or the data or metadata of the thin pool, is so full. Without it one that overflows is noticed at the end.',
  },
  {
    name: 'size',
    argument: 'SIZE',
    from: 'ours',
    actions: ['cycle'],
    group: 'Source',
    brief: 'room for a new thick snapshot: 5G, or 20%',
    help: 'Room for what a new thick snapshot has to save, such as 5G, or a share of the volume such as 20%. It has to last until the next turn is done.',
  },
  {
    name: 'freeze-cmd',
    argument: 'COMMAND',
    from: 'ours',
    actions: ['cycle'],
    group: 'Source',
    brief: 'quiesce a database or VM before the snapshot',
    help: 'Run COMMAND before a snapshot is made, to have a database or a virtual machine come to rest; split into words as --rsh is. File systems need none.',
  },
  {
    name: 'thaw-cmd',
    argument: 'COMMAND',
    from: 'ours',
    actions: ['cycle'],
    group: 'Source',
    brief: 'end that, after the snapshot or if it fails',
    help: 'Run COMMAND once the snapshot is made, or could not be, or if lvmsync is killed before; it may come twice.',
  },
  {
    name: 'format',
    argument: 'FORMAT',
    choices: ['auto', 'classic'],
    from: 'ours',
    actions: ['dump', 'sync'],
    group: 'Stream',
    brief: '"auto", or "classic" for the Ruby lvmsync',
    help: 'The form of the change stream: "auto", the default, or "classic", byte for byte what the Ruby lvmsync writes.',
  },
  {
    name: 'compress',
    argument: 'MODE',
    withoutValue: 'auto',
    choices: ['auto', 'lz4', 'none'],
    from: 'ours',
    actions: ['dump', 'sync', 'cycle'],
    group: 'Stream',
    brief: '"auto", "lz4" or "none"',
    help: 'Compress the change stream: "lz4" from its first byte, "auto" (also if MODE is left out) towards another host only if the link holds the run up and the receiver knows how. Compressed input is recognised by itself.',
  },
  {
    name: 'bwlimit',
    argument: 'RATE',
    from: 'ours',
    actions: READING,
    group: 'Stream',
    brief: 'send at most RATE bytes a second: 500K, 10M',
    help: 'Send no more than RATE bytes a second; K, M and G stand for 1024, its square and its cube.',
  },
  {
    name: 'rsh',
    short: 'e',
    argument: 'COMMAND',
    from: 'original',
    actions: REMOTE,
    harmlessElsewhere: true,
    group: 'Other host',
    brief: 'the command that stands for ssh',
    help: 'The command that stands for ssh, such as "ssh -i \'my key\'". Split into words as a shell does, but nothing in it is expanded.',
  },
  {
    name: 'remote-path',
    argument: 'PROGRAM',
    from: 'ours',
    actions: REMOTE,
    group: 'Other host',
    brief: 'name or path of lvmsync on the remote host',
    help: 'What lvmsync is called on the other host; default "lvmsync".',
  },
  {
    name: 'push-helper',
    argument: 'FILE',
    from: 'ours',
    actions: ['sync'],
    group: 'Other host',
    brief: 'lend the remote host this executable for the run',
    help: 'Where the other host has no lvmsync, lend it FILE, the self-contained executable, for this run: it is checked by its hash, kept in a private temporary folder there, and removed at the end.',
  },
  {
    name: 'sudo',
    from: 'ours',
    actions: REMOTE,
    group: 'Other host',
    brief: 'run lvmsync through "sudo -n" on the remote host',
    help: 'Run the receiver through "sudo -n", where root cannot log in.',
  },
  {
    name: 'transport',
    argument: 'KIND',
    choices: ['command', 'ssh2'],
    from: 'ours',
    actions: REMOTE,
    group: 'Other host',
    brief: '"command" (--rsh), or the built-in client "ssh2"',
    help: 'How the other host is reached: by running the --rsh "command", the default, or by the built-in client "ssh2".',
  },
  {
    name: 'streams',
    argument: 'N',
    from: 'ours',
    actions: ['sync', 'bench'],
    group: 'Other host',
    brief: 'share the work among up to N connections',
    help: 'Share the work among up to N connections, at most 16, each with a receiver of its own. With --snapback FILE there then are FILE.1-of-N, FILE.2-of-N and so on, which together undo the run.',
  },
  {
    name: 'timeout',
    argument: 'SECONDS',
    from: 'ours',
    actions: REMOTE,
    group: 'Other host',
    brief: 'give up when nothing has moved for so long',
    help: 'Give up when nothing has moved for so long. Without it: one hour for a sync, since old receivers are silent; five minutes for a chain, ten for hashes, one for any other answer.',
  },
  {
    name: 'require-ack',
    from: 'ours',
    actions: ['sync', 'cycle'],
    group: 'Other host',
    brief: 'fail unless the receiver confirms what it wrote',
    help: 'Fail unless the receiver confirms what it wrote, which the Ruby lvmsync cannot.',
  },
  {
    name: 'no-discard',
    from: 'ours',
    actions: ['sync', 'cycle'],
    group: 'Destination',
    brief: 'write zeros instead of giving space back',
    help: 'Write zeros where a thin source was discarded. Without it such space is given back at the destination where that is safe.',
  },
  {
    name: 'allow-smaller',
    from: 'ours',
    actions: ['apply', 'sync', 'verify'],
    group: 'Destination',
    brief: 'leave out what lies beyond a smaller destination',
    help: 'Accept a destination smaller than the source: what lies beyond its end is left out.',
  },
  {
    name: 'force',
    from: 'ours',
    actions: ['apply', 'sync', 'verify', 'cycle', 'rollback'],
    group: 'Destination',
    brief: 'write although a check speaks against it',
    help: 'Write although a check says that the destination is in use, that there is no room for the snapback, or that a classic change stream looks damaged.',
  },
  {
    name: 'scratch',
    argument: 'FILE',
    from: 'ours',
    actions: ['bench'],
    group: 'Destination',
    brief: 'measure writes, too, to this new file',
    help: 'Also measure how fast FILE can be written, on the other host if one is named. It must not exist yet, is at most 1 GiB, and is removed at the end.',
  },
  {
    name: 'full',
    from: 'ours',
    actions: ['verify'],
    group: 'Verify',
    brief: 'compare everything, not only what a sync sends',
    help: 'Compare all of the source, not only what a sync would send. In place of SNAPSHOT any block device or file will do.',
  },
  {
    name: 'repair',
    from: 'ours',
    actions: ['verify'],
    group: 'Verify',
    brief: 'send what differs, then compare that again',
    help: 'Send what differs, and nothing else, then compare it once more.',
  },
  {
    name: 'snapback',
    short: 'b',
    argument: 'FILE',
    from: 'original',
    actions: ['apply', 'sync', 'verify', 'cycle', 'doctor'],
    group: 'Undo',
    brief: 'save what is overwritten, to undo the run',
    help: 'Save what is overwritten to FILE, on the machine of the destination. "--apply FILE" then undoes the run. For a cycle it is the directory of the chain.',
  },
  {
    name: 'snapback-overwrite',
    from: 'ours',
    actions: ['apply', 'sync', 'verify'],
    group: 'Undo',
    brief: 'replace the snapback if it exists',
    help: 'Replace the snapback FILE if it exists already; without this it is refused.',
  },
  {
    name: 'chain',
    argument: 'DIR',
    from: 'ours',
    actions: ['apply'],
    group: 'Undo',
    brief: 'take the stream as the next turn of a chain',
    help: 'Take the change stream as the next turn of the chain of snapbacks in DIR, and refuse one that does not follow what the destination holds. See "lvmsync chain".',
  },
  {
    name: 'init',
    from: 'ours',
    actions: ['apply', 'cycle'],
    group: 'Undo',
    brief: 'start the history: everything is copied',
    help: 'The chain begins: the change stream is a full copy. It keeps no snapback.',
  },
  {
    name: 'keep',
    argument: 'RULE',
    repeatable: true,
    from: 'ours',
    actions: ['apply', 'cycle'],
    group: 'Undo',
    brief: 'keep the newest 24, or those of 30d; repeatable',
    help: 'After a turn remove the oldest snapbacks of the chain, but for those that a RULE keeps: "24", the newest 24, or "12h", "30d", "8w", those of the last hours, days or weeks. May be given more than once; without it all are kept.',
  },
  {
    name: 'to',
    argument: 'TIME',
    from: 'ours',
    actions: ['rollback'],
    group: 'Undo',
    brief: 'the newest restore point at or before TIME',
    help: 'Go back to the newest point until the end of TIME: ISO 8601 or the beginning of it, such as 2026-11-23 or 2026-11-23T10:15, in the local time zone unless it ends in Z or in an offset, as `chain` prints it.',
  },
  {
    name: 'steps',
    argument: 'N',
    from: 'ours',
    actions: ['rollback'],
    group: 'Undo',
    brief: 'N restore points back; 0: undo an unfinished turn',
    help: 'Go back N turns; with 0, only undo what a turn left that has not come to its end.',
  },
  {
    name: 'redo',
    from: 'ours',
    actions: ['rollback'],
    group: 'Undo',
    brief: 'undo the last rollback, finished or not',
    help: 'Take back the last rollback, or one that was cut off. Possible until the next turn.',
  },
  {
    name: 'nice',
    argument: 'N',
    from: 'ours',
    actions: WORKING,
    group: 'Load',
    brief: 'CPU priority N, or "idle"; here and remote',
    help: 'Run with nice value N, from -20 to 19, or, where N is "idle", only on processors that nobody else wants, here and on the other host.',
  },
  {
    name: 'ionice',
    argument: 'CLASS[:LEVEL]',
    from: 'ours',
    actions: WORKING,
    group: 'Load',
    brief: 'I/O class "idle", "best-effort" or "realtime"',
    help: 'Let the disks serve others first, here and on the other host: CLASS is "idle", "best-effort" or "realtime", LEVEL 0 (most) to 7.',
  },
  {
    name: 'json',
    from: 'ours',
    actions: ANY,
    group: 'Messages',
    brief: 'messages or answers as JSON, one object per line',
    help: 'Say everything on standard error as one JSON object a line; inspect, verify, chain, doctor and bench print their answer so, to standard output.',
  },
  {
    name: 'metrics',
    argument: 'FILE',
    from: 'ours',
    actions: ['sync', 'dump', 'apply', 'cycle', 'verify', 'rollback'],
    group: 'Messages',
    brief: 'write figures of the run for Prometheus',
    help: 'Replace FILE by the figures of this run and of those before it, as Prometheus reads them: bytes, seconds, exit status, time of the last success.',
  },
  {
    name: 'verbose',
    short: 'v',
    negatable: true,
    from: 'original',
    actions: ANY,
    group: 'Messages',
    brief: 'report what is being done',
    help: 'Say what is being done.',
  },
  {
    name: 'debug',
    short: 'd',
    negatable: true,
    from: 'original',
    actions: ANY,
    group: 'Messages',
    brief: 'report everything',
    help: 'Say everything, and show where in the program an error arose.',
  },
  {
    name: 'quiet',
    short: 'q',
    negatable: true,
    from: 'original',
    actions: ANY,
    group: 'Messages',
    brief: 'report errors only',
    help: 'Say nothing but errors.',
  },
] as const satisfies readonly OptionSpec[];

export type OptionEntry = (typeof OPTION_TABLE)[number];
export type ValueName = Extract<OptionEntry, { readonly argument: string }>['name'];
export type FlagName = Exclude<OptionEntry['name'], ValueName>;
