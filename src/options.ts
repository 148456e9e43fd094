/** Options into a Command: what one run is to do, with nothing left to decide about the words. */

import type { KeepRule } from './chain-keep.js';
import {
  applyCommand,
  chainCommand,
  hashCommand,
  inspectCommand,
  rollbackCommand,
} from './destination-commands.js';
import {
  type BenchCommand,
  benchCommand,
  type DoctorCommand,
  doctorCommand,
} from './examine-commands.js';
import type { FreezeHooks } from './freeze-hooks.js';
import type { IoPriority } from './io-priority.js';
import {
  checkActions,
  checkUtf8,
  checkValue,
  chooseAction,
  chooseVerbosity,
  isGiven,
} from './option-checks.js';
import type { ParsedOptions } from './option-grammar.js';
import { OPTION_TABLE } from './option-table.js';
import { metricsRequest, priorityRequest } from './option-values.js';
import type { Destination } from './remote-name.js';
import type { RollbackTarget } from './rollback-plan.js';
import { cycleCommand, dumpCommand, syncCommand, verifyCommand } from './source-commands.js';

export { type ParsedOptions, parseOptions } from './option-grammar.js';

/** `debug` includes `verbose`; `quiet` leaves errors only. */
export type Verbosity = 'quiet' | 'normal' | 'verbose' | 'debug';

/** Where the list of changes comes from, and where their data are read. */
export type SourceRequest =
  | {
      readonly kind: 'snapshot';
      /** As typed: a path or `vg/lv`. */
      readonly snapshot: string;
      /** Read instead of the snapshot's origin. */
      readonly dataSource: string | undefined;
      /** The older thin volume: `snapshot` is then the newer one, and its data are read. */
      readonly since: string | undefined;
    }
  | { readonly kind: 'cowStore'; readonly cowStore: string; readonly dataSource: string };

export interface SnapbackRequest {
  /** On the destination's machine. */
  readonly path: string;
  readonly overwrite: boolean;
}

export type StreamFormat = 'auto' | 'classic';
export type Compression = 'auto' | 'lz4' | 'none';

/** A nice value; `idle`: only what nobody else wants (SCHED_IDLE). */
export type Nice = number | 'idle';

/** How much of processor and disks a run may take while others want them. Absent: as it was started. */
export interface PriorityRequest {
  readonly nice?: Nice;
  readonly io?: IoPriority;
}

export interface RunRequest {
  readonly verbosity: Verbosity;
  readonly priority?: PriorityRequest;
  /** A file for the figures of the run. */
  readonly metrics?: string;
  /** Each one line, for the person who typed this. */
  readonly warnings: readonly string[];
}

export interface WriteRequest extends RunRequest {
  readonly snapback: SnapbackRequest | undefined;
  readonly allowSmaller: boolean;
  readonly force: boolean;
}

export interface ApplyCommand extends WriteRequest, RehearsalRequest {
  readonly kind: 'apply';
  /** A file's path, or `-` for standard input. */
  readonly input: string;
  readonly destination: string;
  /** The directory of a chain of which this is a turn. */
  readonly chain?: ChainRequest;
}

/** Check and say what would be done, write nothing. */
export interface RehearsalRequest {
  readonly dryRun?: true;
}

export interface ChainRequest {
  /** On the destination's machine. */
  readonly directory: string;
  /** The stream is a full copy, with which the chain begins. */
  readonly init: boolean;
  /** Of none, everything is kept. */
  readonly keep: readonly KeepRule[];
}

export interface ReadRequest extends RunRequest {
  /** A source that is written while it is read makes the run fail. */
  readonly requireQuiet: boolean;
  readonly format: StreamFormat;
  readonly compression: Compression;
  /** Bytes a second. */
  readonly bytesPerSecond: number | undefined;
}

/** Percent: a run ends when a COW store or thin pool that it depends on is so full. Absent: it does not. */
export interface FillRequest {
  readonly maxCowUse?: number;
}

export interface DumpCommand extends ReadRequest, FillRequest, RehearsalRequest {
  readonly kind: 'dump';
  readonly source: SourceRequest;
}

/** What the sender of a change stream has to know, whatever the stream holds. */
export interface SendRequest extends WriteRequest, ReadRequest {
  /** What is known to read as zeros may be given back at the destination instead of being written. */
  readonly discard: boolean;
  readonly destination: Destination;
  readonly remote: RemoteOptions;
  readonly chain?: ChainRequest;
}

export interface SyncCommand extends SendRequest, FillRequest, RehearsalRequest {
  readonly kind: 'sync';
  readonly source: SourceRequest;
}

/** One turn of a cycle. */
export interface CycleCommand extends SendRequest, FillRequest, RehearsalRequest {
  readonly kind: 'cycle';
  /** As typed: the volume whose snapshots are made. */
  readonly origin: string;
  /** What lvcreate is told of the size of a snapshot. */
  readonly size: readonly string[] | undefined;
  readonly hooks: FreezeHooks;
  readonly chain: ChainRequest;
}

/** How another host is reached, and what is run there. */
export interface RemoteOptions {
  readonly transport: 'command' | 'ssh2';
  /** The program that stands for ssh, and its first arguments. */
  readonly rsh: readonly string[];
  /** The user chose it: its options are the user's, too. */
  readonly rshGiven: boolean;
  /** What lvmsync is called there. */
  readonly program: string;
  /** A self-contained executable here, which serves where there is no such program. */
  readonly helper?: string;
  readonly sudo: boolean;
  /** Seconds without progress after which the run is given up. */
  readonly timeoutSeconds: number | undefined;
  readonly requireAck: boolean;
  /** The most connections that share the work. */
  readonly streams: number;
}

export interface InspectCommand extends RunRequest {
  readonly kind: 'inspect';
  readonly files: readonly string[];
  readonly json: boolean;
}

export interface VerifyCommand
  extends WriteRequest,
    Pick<ReadRequest, 'requireQuiet' | 'bytesPerSecond'> {
  readonly kind: 'verify';
  readonly source: SourceRequest;
  /** The whole of what is read, not only what a sync would send. */
  readonly full: boolean;
  readonly repair: boolean;
  readonly json: boolean;
  readonly destination: Destination;
  readonly remote: RemoteOptions;
}

/** The other side of a verify. */
export interface HashCommand extends RunRequest {
  readonly kind: 'hash';
  readonly destination: string;
}

export interface ChainCommand extends RunRequest {
  readonly kind: 'chain';
  readonly directory: string;
  /** Is looked at, too: whether it is the one of the chain. */
  readonly destination: string | undefined;
  readonly json: boolean;
}

export interface RollbackCommand extends RunRequest {
  readonly kind: 'rollback';
  readonly destination: string;
  /** Of the chain. */
  readonly directory: string;
  /** Or forward again, after a rollback. */
  readonly target: RollbackTarget | 'redo';
  /** Check and say what would be done, write nothing. */
  readonly dryRun: boolean;
  readonly force: boolean;
}

export type Command =
  | { readonly kind: 'version' }
  | { readonly kind: 'help' }
  | InspectCommand
  | ChainCommand
  | RollbackCommand
  | ApplyCommand
  | DumpCommand
  | SyncCommand
  | VerifyCommand
  | HashCommand
  | CycleCommand
  | DoctorCommand
  | BenchCommand;

/** Throws (usage) for options that contradict each other, and for operands missing or left over. */
export function toCommand(parsed: ParsedOptions): Command {
  if (parsed.flags.version) return { kind: 'version' };
  if (parsed.flags.help) return { kind: 'help' };
  const verbosity = chooseVerbosity(parsed);
  for (const word of [...Object.values(parsed.values), ...parsed.operands]) checkUtf8(word);
  const given = OPTION_TABLE.filter((entry) => isGiven(parsed, entry));
  const { action, asked } = chooseAction(given, parsed.operands);
  for (const entry of given) checkValue(parsed, entry);
  const warnings = checkActions(given, action, asked);
  const priority = priorityRequest(parsed.values);
  const run = { verbosity, warnings, ...(priority && { priority }), ...metricsRequest(parsed) };
  switch (action) {
    case 'inspect':
      return inspectCommand(parsed, run);
    case 'chain':
      return chainCommand(parsed, run);
    case 'rollback':
      return rollbackCommand(parsed, run);
    case 'cycle':
      return cycleCommand(parsed, run);
    case 'bench':
      return benchCommand(parsed, run);
    case 'doctor':
      return doctorCommand(parsed, run);
    case 'apply':
      return applyCommand(parsed, run);
    case 'dump':
      return dumpCommand(parsed, run);
    case 'sync':
      return syncCommand(parsed, run);
    case 'verify':
      return verifyCommand(parsed, run);
    case 'hash':
      return hashCommand(parsed, run);
  }
}
