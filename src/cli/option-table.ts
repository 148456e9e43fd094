/**
 * Every option there is. The parser, the checks of what goes with what, and the help text all read
 * this table, so an option is added here and, where it has a meaning, in parse.ts. Commands: command-table.
 */

/** The actions of a run, apart from printing the version or the help. */
export type Action =
  | 'apply'
  | 'dump'
  | 'sync'
  | 'inspect'
  | 'changes'
  | 'verify'
  | 'hash'
  | 'chain'
  | 'cycle'
  | 'rollback'
  | 'status'
  | 'doctor'
  | 'bench';

export type OptionGroup =
  | 'What to do'
  | 'Source'
  | 'Stream'
  | 'Remote host'
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
  /**
   * Abbreviations that suit an option of the Ruby lvmsync mean that one, whatever else they suit; those that suited
   * one of ours go on to mean that one, whatever comes later.
   */
  readonly from: 'original' | 'ours' | 'later';
  /** The actions it has a meaning for; with the others it is refused. */
  readonly actions: readonly Action[];
  /** Where the Ruby lvmsync let it pass without effect and no harm can come of it: only warn. */
  readonly harmlessElsewhere?: true;
  readonly group: OptionGroup;
  /** In the help of a command: beside the option, on the same line. */
  readonly brief: string;
  readonly help: string;
  /** Where it means something else to one command: the words for that command. */
  readonly meanings?: Readonly<Partial<Record<Action, OptionMeaning>>>;
}

export interface OptionMeaning {
  readonly argument?: string;
  readonly brief: string;
  readonly help: string;
}

const ANY: readonly Action[] = [
  'apply',
  'dump',
  'sync',
  'inspect',
  'changes',
  'verify',
  'hash',
  'chain',
  'cycle',
  'rollback',
  'status',
  'doctor',
  'bench',
];
/** Those that name what to read. */
const SOURCES: readonly Action[] = ['dump', 'sync', 'changes', 'verify'];
/** Those that read data. */
const READING: readonly Action[] = ['dump', 'sync', 'verify', 'cycle'];
const REMOTE: readonly Action[] = ['sync', 'verify', 'cycle', 'doctor', 'bench'];
const WORKING: readonly Action[] = [...READING, 'changes', 'apply', 'hash', 'rollback'];

/** For the commands that know no other host. */
function onThisHost(meaning: OptionMeaning): Partial<Record<Action, OptionMeaning>> {
  return { dump: meaning, changes: meaning, apply: meaning, rollback: meaning };
}

export const OPTION_TABLE = [
  {
    name: 'apply',
    short: 'a',
    argument: 'FILE',
    from: 'original',
    actions: ['apply'],
    group: 'What to do',
    brief: 'write the changes in FILE ("-": standard input)',
    help: 'Write the changes in FILE, a change stream or a snapback, to the destination. "-" reads standard input.',
  },
  {
    name: 'stdout',
    short: 's',
    from: 'original',
    actions: ['dump'],
    group: 'What to do',
    brief: 'write the changes to standard output',
    help: 'Write the changes to standard output, for a file or a pipe.',
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
    brief: 'internal: serves a remote "lvmsync verify"',
    help: 'Internal: serves block hashes to a remote "lvmsync verify".',
  },
  {
    name: 'fetched',
    argument: 'WHAT',
    choices: ['none', 'any', 'lost'],
    from: 'later',
    actions: ['apply'],
    group: 'What to do',
    brief: 'internal: receives a run that this host fetches',
    help: 'Internal: receives a cycle run that this host fetches, and takes only what it asked for: a single stream to a new restore point, whose changes were found as WHAT, the value of --compare, allows.',
  },
  {
    name: 'serve',
    from: 'later',
    actions: ['cycle'],
    group: 'What to do',
    brief: 'on the host of VOLUME: serve a run fetched over ssh',
    help: 'On the host of VOLUME: serve one cycle run to the host of the copy, which started this over ssh. Meant for a forced command in authorized_keys: it fixes VOLUME and all options of the snapshot, and the host of the copy only says what the copy holds. If a volume has several such copies, each but one needs a NAME. With --end: remove the snapshots of that cycle.',
  },
  {
    name: 'dry-run',
    from: 'ours',
    actions: ['apply', 'dump', 'sync', 'cycle', 'rollback'],
    group: 'What to do',
    brief: 'check everything, report it, write nothing',
    help: 'Check everything, here and on the remote host, report what would be done, and write nothing. Only the metadata snap of a thin pool is reserved for a moment. Exits with the status with which the run would be refused, or 0 if it would begin.',
  },
  {
    name: 'version',
    short: 'V',
    stops: true,
    from: 'original',
    actions: ANY,
    group: 'What to do',
    brief: 'print the version',
    help: 'Print the version, and that of the Node.js that runs it.',
  },
  {
    name: 'licenses',
    stops: true,
    from: 'ours',
    actions: ANY,
    group: 'What to do',
    brief: 'print the licenses of lvmsync and its parts',
    help: 'Print the licenses of lvmsync and of what is in it.',
  },
  {
    name: 'help',
    short: 'h',
    stops: true,
    from: 'original',
    actions: ANY,
    group: 'What to do',
    brief: 'print the help; after a command: its own',
    help: 'Print the commands and the options of a sync. After a command, print the help of that command.',
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
    meanings: {
      changes: {
        brief: 'the data will be read from DEVICE, not the origin',
        help: 'The changed data will be read from DEVICE instead of the origin, for example from a newer snapshot. Its size is that of the list.',
      },
    },
  },
  {
    name: 'since',
    argument: 'OLD',
    from: 'ours',
    actions: SOURCES,
    group: 'Source',
    brief: 'thin: send the differences between OLD and SNAPSHOT',
    help: 'For thin volumes: send the differences between OLD, such as an older snapshot, and SNAPSHOT, which may be any volume of the same pool. The data is read from SNAPSHOT.',
    meanings: {
      changes: {
        brief: 'thin: list the differences between OLD and SNAPSHOT',
        help: 'For thin volumes: list the differences between OLD, such as an older snapshot, and SNAPSHOT, which may be any volume of the same pool.',
      },
    },
  },
  {
    name: 'cow-store',
    argument: 'FILE',
    from: 'ours',
    actions: SOURCES,
    group: 'Source',
    brief: 'read the list of changes from FILE, without LVM',
    help: 'Read the list of changes from FILE, the COW store of a thick snapshot, without asking LVM. Replaces SNAPSHOT and needs --data-source.',
  },
  {
    name: 'require-quiet',
    from: 'ours',
    actions: READING,
    group: 'Source',
    brief: 'fail if the source is written during the run',
    help: 'Fail if the device that the data is read from is written during the run, or if writes to it cannot be detected. By default a write is a warning.',
  },
  {
    name: 'max-cow-use',
    argument: 'PERCENT',
    from: 'ours',
    actions: ['dump', 'sync', 'cycle'],
    group: 'Source',
    brief: 'stop cleanly when the snapshot is this full',
    help: "Stop cleanly when the COW store, or the pool's data or metadata, reaches PERCENT. By default an overflow shows only when a read fails, or at the end.",
  },
  {
    name: 'size',
    argument: 'SIZE',
    from: 'ours',
    actions: ['cycle'],
    group: 'Source',
    brief: 'room for a new thick snapshot: auto, 5G or 20%',
    help: 'Room for a new thick snapshot: "auto", a size such as 5G, or a share of the volume such as 20%. Required for a thick volume, refused for a thin one. It must hold everything that is written from its own run to the end of the next one. "auto" takes twice the most that one of the last eight snapshots used, but at least 5% of the volume, and 20% until eight are known.',
  },
  {
    name: 'freeze-cmd',
    argument: 'COMMAND',
    from: 'ours',
    actions: ['cycle'],
    group: 'Source',
    brief: 'quiesce a database or VM before the snapshot',
    help: 'Run COMMAND before a snapshot is made, to quiesce a database or virtual machine. Parsed like --rsh. Not needed for file systems, which LVM freezes.',
  },
  {
    name: 'thaw-cmd',
    argument: 'COMMAND',
    from: 'ours',
    actions: ['cycle'],
    group: 'Source',
    brief: 'undo --freeze-cmd, also if the snapshot fails',
    help: 'Run COMMAND after the snapshot attempt, successful or not, and also if lvmsync is killed. It may run twice, or although nothing is frozen.',
  },
  {
    name: 'format',
    argument: 'FORMAT',
    choices: ['auto', 'classic'],
    from: 'ours',
    actions: ['dump', 'sync'],
    group: 'Stream',
    brief: '"auto", or "classic" for the Ruby lvmsync',
    help: 'Format of the change stream: "auto", the default, or "classic", byte for byte what the Ruby lvmsync writes.',
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
    help: 'Compress the change stream. "none" is the default, "lz4" always compresses. "auto", also the meaning without MODE, compresses only if the link is the bottleneck and the receiver supports it; with --stdout it always compresses. Compressed input is detected automatically.',
  },
  {
    name: 'bwlimit',
    argument: 'RATE',
    from: 'ours',
    actions: READING,
    group: 'Stream',
    brief: 'send at most RATE bytes per second: 500K, 10M',
    help: 'Send at most RATE bytes per second. The suffixes K, M and G are powers of 1024, KB, MB and GB of 1000.',
  },
  {
    name: 'rsh',
    short: 'e',
    argument: 'COMMAND',
    from: 'original',
    actions: REMOTE,
    harmlessElsewhere: true,
    group: 'Remote host',
    brief: 'command to use in place of ssh',
    help: 'Command to use in place of ssh, such as "ssh -i \'my key\'". Split into arguments as a shell does, but nothing in it is expanded.',
  },
  {
    name: 'remote-path',
    argument: 'PROGRAM',
    from: 'ours',
    actions: REMOTE,
    group: 'Remote host',
    brief: 'name or path of lvmsync on the remote host',
    help: 'Name or path of lvmsync on the remote host. Default: lvmsync.',
  },
  {
    name: 'push-helper',
    argument: 'FILE',
    from: 'ours',
    actions: ['sync'],
    group: 'Remote host',
    brief: 'lend the remote host this executable for the run',
    help: 'If the remote host has no lvmsync, lend it FILE, the self-contained executable, for this run. It is checked by its hash, kept in a private temporary directory there, and removed at the end. Only for a sync.',
  },
  {
    name: 'sudo',
    from: 'ours',
    actions: REMOTE,
    group: 'Remote host',
    brief: 'run lvmsync through "sudo -n" on the remote host',
    help: 'Run lvmsync on the remote host through "sudo -n", for hosts where root cannot log in.',
  },
  {
    name: 'transport',
    argument: 'KIND',
    choices: ['command', 'ssh2'],
    from: 'ours',
    actions: REMOTE,
    group: 'Remote host',
    brief: '"command" (--rsh), or the built-in client "ssh2"',
    help: 'How to reach the remote host: by running the --rsh "command", the default, or with the built-in client "ssh2".',
  },
  {
    name: 'streams',
    argument: 'N',
    from: 'ours',
    actions: ['sync', 'cycle', 'bench'],
    group: 'Remote host',
    brief: 'share the work among up to N connections',
    help: 'Share the work among up to N connections, at most 16, each with its own receiver. With --snapback FILE this creates FILE.1-of-N, FILE.2-of-N and so on, which together undo the run.',
    meanings: {
      bench: {
        brief: 'measure the link with N connections at once, too',
        help: 'Measure the link with N connections at once, too, at most 16.',
      },
      cycle: {
        brief: 'share the work among up to N connections',
        help: 'Share the work among up to N connections, at most 16, each with its own receiver. A run that compares uses one.',
      },
    },
  },
  {
    name: 'timeout',
    argument: 'SECONDS',
    from: 'ours',
    actions: [...REMOTE, 'status'],
    group: 'Remote host',
    brief: 'give up when nothing has moved for this long',
    help: 'Give up when nothing has moved for this long: a number of seconds, or a time such as 5m. Default: one hour for a change stream, because old receivers are silent; ten minutes for hashes and for --push-helper, five for a chain, 90 seconds for --scratch, one minute for any other answer.',
    meanings: {
      status: {
        brief: 'give up LVM or a copy that is silent for this long',
        help: 'Give up LVM, or the place of a copy, when it has not answered for this long: a number of seconds, or a time such as 5m. Default: one minute.',
      },
    },
  },
  {
    name: 'require-ack',
    from: 'ours',
    actions: ['sync', 'cycle'],
    group: 'Remote host',
    brief: 'fail unless the receiver confirms what it wrote',
    help: 'Fail unless the receiver confirms what it wrote. The Ruby lvmsync cannot do that.',
  },
  {
    name: 'no-discard',
    from: 'ours',
    actions: ['sync', 'cycle'],
    group: 'Destination',
    brief: 'write zeros instead of discarding blocks',
    help: 'Write zeros where blocks of a thin source were discarded. By default these blocks are discarded at the destination, too, where that is safe.',
  },
  {
    name: 'allow-smaller',
    from: 'ours',
    actions: ['apply', 'sync', 'verify'],
    group: 'Destination',
    brief: 'accept a destination smaller than the source',
    help: 'Accept a destination smaller than the source. The part beyond its end is left out.',
  },
  {
    name: 'force',
    from: 'ours',
    actions: ['apply', 'sync', 'verify', 'cycle', 'rollback'],
    group: 'Destination',
    brief: 'write although a check refuses; can destroy data',
    help: 'Write although a check refuses: the destination is in use or holds something else, there is not enough room for the snapback, a classic change stream looks damaged, a snapback is incomplete or belongs to another device or an older run, something else wrote to the copy, the copy of a chain is another device or changed its size, or the chain lies on the volume that is copied. With --init it discards all restore points. It can destroy data.',
  },
  {
    name: 'scratch',
    argument: 'FILE',
    from: 'ours',
    actions: ['bench'],
    group: 'Destination',
    brief: 'also measure writes, to this new file',
    help: 'Also measure how fast FILE can be written, on the remote host if one is named. FILE must not exist yet. It takes at most 1 GiB and is removed at the end.',
  },
  {
    name: 'full',
    from: 'ours',
    actions: ['verify'],
    group: 'Verify',
    brief: 'compare everything, not only what a sync sends',
    help: 'Compare all of the source, not only what a sync would send. Any block device or file can stand for SNAPSHOT.',
  },
  {
    name: 'repair',
    from: 'ours',
    actions: ['verify'],
    group: 'Verify',
    brief: 'send what differs, then compare that again',
    help: 'Send what differs, and nothing else, then compare that again.',
  },
  {
    name: 'snapback',
    short: 'b',
    argument: 'FILE',
    from: 'original',
    actions: ['apply', 'sync', 'verify', 'cycle', 'doctor'],
    group: 'Undo',
    brief: 'save the overwritten blocks, to undo the run',
    help: 'Save the overwritten blocks to FILE, on the host of the destination. "--apply FILE", run there, undoes the run. For a cycle this is the directory of its restore points. For doctor: check whether FILE could be created. With verify it needs --repair.',
    meanings: {
      cycle: {
        argument: 'DIR',
        brief: "directory of restore points, on DESTINATION's host",
        help: 'The directory of the restore points, on the host of DESTINATION. Each run saves the overwritten blocks in it. Required.',
      },
      doctor: {
        brief: 'check whether this snapback could be created',
        help: 'Check whether FILE, a snapback, could be created on the host of the destination.',
      },
      verify: {
        brief: 'save what --repair overwrites, to undo it',
        help: 'Save the blocks that --repair overwrites to FILE, on the host of the destination. "--apply FILE", run there, undoes the repair. Needs --repair.',
      },
    },
  },
  {
    name: 'snapback-overwrite',
    from: 'ours',
    actions: ['apply', 'sync', 'verify'],
    group: 'Undo',
    brief: 'replace the snapback if it exists',
    help: 'Replace FILE, the snapback, if it exists and is a file of lvmsync. By default an existing file is refused.',
  },
  {
    name: 'chain',
    argument: 'DIR',
    from: 'ours',
    actions: ['apply'],
    group: 'Undo',
    brief: 'used by "lvmsync cycle": apply its next run',
    help: 'Used by "lvmsync cycle": apply the change stream as the next run of the cycle whose restore points are in DIR. A stream that does not start where the destination is now is refused. See "lvmsync chain".',
  },
  {
    name: 'compare',
    argument: 'WHEN',
    withoutValue: 'any',
    choices: ['any', 'lost'],
    from: 'later',
    actions: ['cycle'],
    group: 'Undo',
    brief: 'find the changes by comparing both: "any" or "lost"',
    help: 'Find the changes by comparing hashes where no snapshot lists them: after the snapshot of the copy\'s restore point overflowed or was removed, or with --init on a copy that exists. The restore points stay. It reads the whole volume and the whole copy. "lost", which is safe in a timer, does only that. "any", the default without WHEN, also goes on after a rollback, and after something else wrote to the copy: that is overwritten, and kept in DIR. A run that knows the changes compares nothing, except with --force.',
  },
  {
    name: 'init',
    from: 'ours',
    actions: ['apply', 'cycle'],
    group: 'Undo',
    brief: 'start the history: everything is copied',
    help: 'Start the history with a full copy or, with --compare, on a copy that exists. No snapback is kept for it. With --apply it needs --chain.',
    meanings: {
      apply: {
        brief: 'with --chain: start the history with a full copy',
        help: 'Start the history with the full copy in the change stream. No snapback is kept for it. Needs --chain.',
      },
    },
  },
  {
    name: 'end',
    from: 'later',
    actions: ['cycle'],
    group: 'Undo',
    brief: 'end the cycle: remove its snapshots',
    help: 'End the cycle that runs with the same VOLUME, DESTINATION and --snapback: remove its snapshots, and nothing else. The copy and its restore points stay. The host of DESTINATION may be gone. Options of its runs are accepted without effect, but not --init and --force.',
  },
  {
    name: 'keep',
    argument: 'RULE',
    repeatable: true,
    from: 'ours',
    actions: ['apply', 'cycle'],
    group: 'Undo',
    brief: 'keep the newest N (24) or an age (30d); repeatable',
    help: 'After the run, delete old restore points except those that a RULE keeps: "24" keeps the newest 24; "12h", "30d" and "8w" keep those of the last hours, days or weeks. Can be given more than once. By default all are kept.',
  },
  {
    name: 'keep-last',
    argument: 'N',
    repeatable: true,
    from: 'ours',
    actions: ['apply', 'cycle'],
    group: 'Undo',
    brief: 'the same as --keep N',
    help: 'The same as "--keep N": keep the newest N restore points.',
  },
  {
    name: 'keep-within',
    argument: 'AGE',
    repeatable: true,
    from: 'ours',
    actions: ['apply', 'cycle'],
    group: 'Undo',
    brief: 'the same as --keep AGE: 12h, 30d, 8w',
    help: 'The same as "--keep AGE": keep the restore points of the last hours, days or weeks ("12h", "30d", "8w").',
  },
  {
    name: 'to',
    argument: 'TIME',
    from: 'ours',
    actions: ['rollback'],
    group: 'Undo',
    brief: 'the newest restore point at or before TIME',
    help: 'Roll back to the newest restore point at or before TIME: ISO 8601, which may be cut short (2026-11-23 means the end of that day). TIME is local unless it ends in Z or in an offset, as `chain` prints it.',
  },
  {
    name: 'steps',
    argument: 'N',
    from: 'ours',
    actions: ['rollback'],
    group: 'Undo',
    brief: 'N restore points back; 0: undo an unfinished run',
    help: 'Go back N restore points. With 0, only undo what an unfinished cycle run wrote.',
  },
  {
    name: 'redo',
    from: 'ours',
    actions: ['rollback'],
    group: 'Undo',
    brief: 'undo the last rollback, finished or not',
    help: 'Undo the last rollback, finished or not. Possible until the next cycle run.',
  },
  {
    name: 'max-age',
    argument: 'AGE',
    from: 'later',
    actions: ['status'],
    group: 'Undo',
    brief: 'older restore points are trouble: 12h, 30d, 8w',
    help: 'Report a cycle or a copy whose newest restore point is older than AGE: so many hours, days or weeks ("12h", "30d", "8w"). By default no age is trouble.',
  },
  {
    name: 'nice',
    argument: 'N',
    from: 'ours',
    actions: WORKING,
    group: 'Load',
    brief: 'CPU priority N, or "idle"; here and remote',
    help: 'Run with nice value N, from -20 to 19, here and on the remote host. "idle" runs only when the CPU is otherwise idle (SCHED_IDLE).',
    meanings: onThisHost({
      brief: 'CPU priority N, or "idle"',
      help: 'Run with nice value N, from -20 to 19. "idle" runs only when the CPU is otherwise idle (SCHED_IDLE).',
    }),
  },
  {
    name: 'ionice',
    argument: 'CLASS[:LEVEL]',
    from: 'ours',
    actions: WORKING,
    group: 'Load',
    brief: 'I/O class "idle", "best-effort" or "realtime"',
    help: 'Set the I/O scheduling class and level, as ionice(1) does, here and on the remote host: CLASS is "idle", "best-effort" or "realtime", LEVEL 0 (highest) to 7.',
    meanings: onThisHost({
      brief: 'I/O class "idle", "best-effort" or "realtime"',
      help: 'Set the I/O scheduling class and level, as ionice(1) does: CLASS is "idle", "best-effort" or "realtime", LEVEL 0 (highest) to 7.',
    }),
  },
  {
    name: 'output',
    argument: 'FORMAT',
    choices: ['text', 'json', 'borg-map'],
    from: 'later',
    actions: ['changes'],
    group: 'Messages',
    brief: '"text", "json", or "borg-map" (needs --since)',
    help: 'Form of the list of changes: "text", the default, a line for each extent; "json", one document; or "borg-map", which also lists what did not change and needs --since, with OLD and SNAPSHOT read-only.',
  },
  {
    name: 'summary',
    from: 'later',
    actions: ['changes'],
    group: 'Messages',
    brief: 'only counts, lengths, a map, the size of a snapshot',
    help: 'Instead of the list of changes print how much changed, how long the extents are, a small map of the device, and the --size that a thick snapshot of the same age would need.',
  },
  {
    name: 'json',
    from: 'ours',
    actions: ANY,
    group: 'Messages',
    brief: 'messages and results as JSON',
    help: 'Write messages to standard error as JSON, one object per line; those of inspect, chain, status, doctor and bench stay text. inspect, changes, verify, chain, status, doctor and bench print their result as JSON on standard output.',
  },
  {
    name: 'metrics',
    argument: 'FILE',
    from: 'ours',
    actions: ['sync', 'dump', 'apply', 'cycle', 'verify', 'rollback'],
    group: 'Messages',
    brief: 'write metrics of the run for Prometheus',
    help: 'Replace FILE with the metrics of this run and of earlier ones in the Prometheus format: bytes, seconds, exit status, time of the last success. Not with --dry-run.',
  },
  {
    name: 'verbose',
    short: 'v',
    negatable: true,
    from: 'original',
    actions: ANY,
    group: 'Messages',
    brief: 'report what is being done',
    help: 'Report what is being done.',
  },
  {
    name: 'debug',
    short: 'd',
    negatable: true,
    from: 'original',
    actions: ANY,
    group: 'Messages',
    brief: 'report everything',
    help: 'Report everything, and show where in the program an error occurred.',
  },
  {
    name: 'quiet',
    short: 'q',
    negatable: true,
    from: 'original',
    actions: ANY,
    group: 'Messages',
    brief: 'report errors only',
    help: 'Report errors only.',
  },
] as const satisfies readonly OptionSpec[];

export type OptionEntry = (typeof OPTION_TABLE)[number];
export type ValueName = Extract<OptionEntry, { readonly argument: string }>['name'];
export type FlagName = Exclude<OptionEntry['name'], ValueName>;
