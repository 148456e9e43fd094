/** The task of one run, with nothing left to decide about the words. */

import type { ChainRequest } from '../chain/keep.js';
import type { RollbackTarget } from '../chain/rollback-plan.js';
import type { CycleRequest } from '../cycle/request.js';
import type { ReadRequest, WriteRequest } from '../pipeline/request.js';
import type { Destination } from '../remote/destination-name.js';
import type { RemoteOptions, SendRequest } from '../remote/request.js';
import type { RunRequest } from '../run/request.js';
import type { FillRequest, SourceRequest } from '../source/request.js';
import type { CommandSpec } from './command-table.js';

export interface ApplyCommand extends WriteRequest, DryRunRequest {
  readonly kind: 'apply';
  /** A file's path, or `-` for standard input. */
  readonly input: string;
  readonly destination: string;
  /** The directory of a chain of which this is a turn. */
  readonly chain?: ChainRequest;
}

/** Check and say what would be done, write nothing. */
export interface DryRunRequest {
  readonly dryRun?: true;
}

export interface DumpCommand extends ReadRequest, FillRequest, DryRunRequest {
  readonly kind: 'dump';
  readonly source: SourceRequest;
}

export interface SyncCommand extends SendRequest, FillRequest, DryRunRequest {
  readonly kind: 'sync';
  readonly source: SourceRequest;
}

export interface CycleCommand extends CycleRequest, DryRunRequest {
  readonly kind: 'cycle';
  /** Its snapshots are to be removed, instead of a run. */
  readonly end?: true;
}

/** The side of the volume, started by the host of the copy. */
export interface ServeCommand extends RunRequest {
  readonly kind: 'serve';
  /** Of the cycle, where several are pulled from one volume; empty for none. */
  readonly name: string;
  /** Its destination stands for whoever started this; the chain for what that says. */
  readonly cycle: CycleCommand;
}

/** A cycle run of a volume of another host, into a copy of this one. */
export interface PullCommand
  extends Omit<CycleRequest, 'size' | 'hooks' | keyof FillRequest>,
    RunRequest {
  readonly kind: 'pull';
  /** `host` or `user@host`, as ssh takes it. */
  readonly host: string;
  /** There: VG/LV. */
  readonly volume: string;
  /** The options of the run there, as words. */
  readonly serve: readonly string[];
}

export interface InspectCommand extends RunRequest {
  readonly kind: 'inspect';
  readonly files: readonly string[];
  readonly json: boolean;
}

/** How a list of changes is written. */
export type ListForm = 'text' | 'json' | 'borg-map';

export interface ChangesCommand extends RunRequest {
  readonly kind: 'changes';
  readonly source: SourceRequest;
  readonly form: ListForm;
  /** What can be said of the list, in place of the list. */
  readonly summary: boolean;
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

/** The remote side of a verify. */
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
  /** The directory of the chain. */
  readonly directory: string;
  /** Or forward again, after a rollback. */
  readonly target: RollbackTarget | 'redo';
  /** Check and say what would be done, write nothing. */
  readonly dryRun: boolean;
  readonly force: boolean;
}

export interface StatusCommand extends RunRequest {
  readonly kind: 'status';
  /** Milliseconds: a restore point that is older is trouble; undefined: none is. */
  readonly maxAge: number | undefined;
  /** Seconds until LVM, or the place of a copy, is given up. */
  readonly limitSeconds: number;
  readonly json: boolean;
}

export interface DoctorCommand extends RunRequest {
  readonly kind: 'doctor';
  /** As typed; undefined: none was named. */
  readonly snapshot: string | undefined;
  /** This machine is only to hold a destination. */
  readonly receives: boolean;
  readonly destination: Destination | undefined;
  /** A file, on the machine of the destination. */
  readonly snapback: string | undefined;
  readonly json: boolean;
  readonly remote: RemoteOptions;
}

export interface BenchCommand extends RunRequest {
  readonly kind: 'bench';
  /** A snapshot, or any block device or file, as typed. */
  readonly source: string | undefined;
  /** `host` or `user@host`, as ssh takes it. */
  readonly host: string | undefined;
  /** A file that is to be written and removed, on the host if there is one. */
  readonly scratch: string | undefined;
  /** The most connections at once. */
  readonly streams: number;
  readonly json: boolean;
  readonly remote: RemoteOptions;
}

export type Command =
  | { readonly kind: 'version' }
  | { readonly kind: 'licenses' }
  /** The help of one command, or of all. */
  | { readonly kind: 'help'; readonly about?: CommandSpec | undefined }
  | InspectCommand
  | ChangesCommand
  | ChainCommand
  | RollbackCommand
  | ApplyCommand
  | DumpCommand
  | SyncCommand
  | VerifyCommand
  | HashCommand
  | CycleCommand
  | ServeCommand
  | PullCommand
  | StatusCommand
  | DoctorCommand
  | BenchCommand;
