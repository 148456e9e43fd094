/** Options into a Command: what one run is to do, with nothing left to decide about the words. */

import { type KeepRule, parseKeepRule } from './chain-keep.js';
import { endOfTime } from './chain-time.js';
import type { Argv } from './command.js';
import { LvmsyncError } from './errors.js';
import type { FreezeHooks } from './freeze-hooks.js';
import type { ParsedOptions } from './option-grammar.js';
import {
  type Action,
  OPTION_TABLE,
  type OptionEntry,
  type OptionSpec,
  type ValueName,
} from './option-table.js';
import { type Destination, parseDestination } from './remote-name.js';
import type { RollbackTarget } from './rollback-plan.js';
import { escapeText } from './text.js';
import { splitWords } from './words.js';

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

interface RunRequest {
  readonly verbosity: Verbosity;
  /** Each one line, for the person who typed this. */
  readonly warnings: readonly string[];
}

interface WriteRequest extends RunRequest {
  readonly snapback: SnapbackRequest | undefined;
  readonly allowSmaller: boolean;
  readonly force: boolean;
}

export interface ApplyCommand extends WriteRequest {
  readonly kind: 'apply';
  /** A file's path, or `-` for standard input. */
  readonly input: string;
  readonly destination: string;
  /** The directory of a chain of which this is a turn. */
  readonly chain?: ChainRequest;
}

export interface ChainRequest {
  /** On the destination's machine. */
  readonly directory: string;
  /** The stream is a full copy, with which the chain begins. */
  readonly init: boolean;
  /** Of none, everything is kept. */
  readonly keep: readonly KeepRule[];
}

interface ReadRequest extends RunRequest {
  /** A source that is written while it is read makes the run fail. */
  readonly requireQuiet: boolean;
  readonly format: StreamFormat;
  readonly compression: Compression;
  /** Bytes a second. */
  readonly bytesPerSecond: number | undefined;
}

export interface DumpCommand extends ReadRequest {
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

export interface SyncCommand extends SendRequest {
  readonly kind: 'sync';
  readonly source: SourceRequest;
}

/** One turn of a cycle. */
export interface CycleCommand extends SendRequest {
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
  | CycleCommand;

/** Throws (usage) for options that contradict each other, and for operands missing or left over. */
export function toCommand(parsed: ParsedOptions): Command {
  if (parsed.flags.version) return { kind: 'version' };
  if (parsed.flags.help) return { kind: 'help' };
  const verbosity = chooseVerbosity(parsed);
  for (const word of [...Object.values(parsed.values), ...parsed.operands]) checkUtf8(word);
  const given = OPTION_TABLE.filter((entry) => isGiven(parsed, entry));
  const { action, asked } = chooseAction(given, parsed.operands);
  for (const entry of given) checkValue(parsed, entry);
  const run = { verbosity, warnings: checkActions(given, action, asked) };
  switch (action) {
    case 'inspect':
      return inspectCommand(parsed, run);
    case 'chain':
      return chainCommand(parsed, run);
    case 'rollback':
      return rollbackCommand(parsed, run);
    case 'cycle':
      return cycleCommand(parsed, run);
    case 'apply':
      return applyCommand(parsed, run);
    case 'dump':
      return dumpCommand(parsed, run);
    case 'sync':
      return syncCommand(parsed, run);
  }
}

function chooseVerbosity({ flags }: ParsedOptions): Verbosity {
  if (flags.quiet && (flags.verbose || flags.debug)) {
    throw usage("I can't run quietly *and* verbosely at the same time!");
  }
  if (flags.quiet) return 'quiet';
  if (flags.debug) return 'debug';
  return flags.verbose ? 'verbose' : 'normal';
}

/** Node.js puts U+FFFD for each byte that is not UTF-8: the name would be of another file. */
function checkUtf8(word: string): void {
  if (word.includes('\ufffd'))
    throw usage(`"${escapeText(word, 80)}": the name is not valid UTF-8`);
}

function isGiven(parsed: ParsedOptions, entry: OptionEntry): boolean {
  if ('argument' in entry) return parsed.values[entry.name] !== undefined;
  return parsed.flags[entry.name] === true;
}

/** An option that serves a single action and is no mere detail of it asks for that action. */
const ASKS_FOR: Readonly<Partial<Record<OptionEntry['name'], Action>>> = {
  apply: 'apply',
  server: 'apply',
  stdout: 'dump',
};

const COMMANDS = ['inspect', 'chain', 'cycle', 'rollback'] as const satisfies readonly Action[];

/**
 * The action, and what asked for it: an option, or the first operand, since no snapshot is named
 * without a slash. Nothing asks for a sync.
 */
function chooseAction(
  given: readonly OptionEntry[],
  [command]: readonly string[],
): { action: Action; asked: string } {
  const asking = given.filter(({ name }) => ASKS_FOR[name] !== undefined);
  const [first, second] = asking;
  const named = COMMANDS.find((one) => one === command);
  if (first === undefined && named !== undefined) return { action: named, asked: named };
  if (first === undefined) return { action: 'sync', asked: 'a SNAPSHOT and a DESTINATION' };
  if (second !== undefined) throw clash(first.name, `--${second.name}`);
  return { action: ASKS_FOR[first.name] ?? 'sync', asked: `--${first.name}` };
}

/** Refuses options that mean nothing to this action; warns of those a script may have always passed. */
function checkActions(
  given: readonly OptionSpec[],
  action: Action,
  asked: string,
): readonly string[] {
  const warnings: string[] = [];
  if (asked === '--server') warnings.push('--server is deprecated: write "--apply -" instead');
  for (const { name, actions, harmlessElsewhere } of given) {
    if (actions.includes(action)) continue;
    if (!harmlessElsewhere) throw clash(name, asked);
    warnings.push(`--${name} has no effect with ${asked}`);
  }
  return warnings;
}

function checkValue(parsed: ParsedOptions, entry: OptionEntry): void {
  if (!('argument' in entry)) return;
  const value = parsed.values[entry.name];
  if (value === '') throw usage(`--${entry.name}: the value is empty`);
  if (!('choices' in entry) || value === undefined) return;
  const choices: readonly string[] = entry.choices;
  if (choices.includes(value)) return;
  const expected = choices.map((choice) => `"${choice}"`).join(' or ');
  throw usage(`--${entry.name}: expected ${expected}, saw "${escapeText(value, 80)}"`);
}

function applyCommand(parsed: ParsedOptions, run: RunRequest): ApplyCommand {
  const operands = [...parsed.operands];
  const destination = takeOperand(operands, 'DESTINATION');
  refuseRest(operands);
  const input = parsed.values.apply ?? '-';
  const chain = chainRequest(parsed);
  return {
    kind: 'apply',
    ...run,
    ...writeRequest(parsed),
    input,
    destination,
    ...(chain && { chain }),
  };
}

function chainRequest({ flags, values }: ParsedOptions): ChainRequest | undefined {
  const { chain: directory } = values;
  if (directory === undefined) {
    if (flags.init) throw needs('init', 'chain');
    if (values.keep !== undefined) throw needs('keep', 'chain');
    return undefined;
  }
  // It names the snapback itself, and a copy that is not whole is no point.
  if (values.snapback !== undefined) throw clash('snapback', '--chain');
  if (flags['allow-smaller']) throw clash('allow-smaller', '--chain');
  return { directory, init: flags.init === true, keep: parseKeep(values.keep) };
}

function parseKeep(text: string | undefined): readonly KeepRule[] {
  return (text?.split(',') ?? []).map((word) => {
    const rule = parseKeepRule(word);
    if (rule !== undefined) return rule;
    throw usage(
      `--keep: expected a number of snapbacks, or an age such as 12h, 30d or 8w, saw "${escapeText(word, 80)}"`,
    );
  });
}

function chainCommand(parsed: ParsedOptions, run: RunRequest): ChainCommand {
  const [, ...operands] = parsed.operands;
  const directory = takeOperand(operands, 'DIR');
  const destination = operands.length === 0 ? undefined : takeOperand(operands, 'DESTINATION');
  refuseRest(operands);
  return { kind: 'chain', ...run, directory, destination, json: parsed.flags.json === true };
}

function inspectCommand({ operands, flags }: ParsedOptions, run: RunRequest): InspectCommand {
  const [, ...files] = operands;
  if (files.length === 0) throw usage('missing operand: FILE');
  return { kind: 'inspect', ...run, files, json: flags.json === true };
}

function rollbackCommand(parsed: ParsedOptions, run: RunRequest): RollbackCommand {
  const { flags } = parsed;
  const [, ...operands] = parsed.operands;
  const destination = takeOperand(operands, 'DESTINATION');
  const directory = operands.length === 0 ? '.' : takeOperand(operands, 'DIR');
  refuseRest(operands);
  const target = rollbackTarget(parsed);
  const dryRun = flags['dry-run'] === true;
  const force = flags.force === true;
  return { kind: 'rollback', ...run, destination, directory, target, dryRun, force };
}

function rollbackTarget({ flags, values }: ParsedOptions): RollbackTarget | 'redo' {
  const { to, steps } = values;
  const given = [to !== undefined, steps !== undefined, flags.redo === true];
  if (given.filter(Boolean).length !== 1) {
    throw usage('rollback needs one of --to, --steps and --redo');
  }
  if (steps !== undefined) {
    if (/^\d{1,6}$/.test(steps)) return { steps: Number(steps) };
    throw usage(`--steps: expected a number, saw "${escapeText(steps, 80)}"`);
  }
  if (to === undefined) return 'redo';
  const until = endOfTime(to);
  if (until !== undefined) return { until, text: to };
  throw usage(
    `--to: expected a time such as 2026-11-23T10:15:00Z, or the beginning of one, saw "${escapeText(to, 80)}"`,
  );
}

function dumpCommand(parsed: ParsedOptions, run: RunRequest): DumpCommand {
  const operands = [...parsed.operands];
  const source = takeSource(parsed, operands);
  refuseRest(operands);
  return { kind: 'dump', ...run, ...readRequest(parsed), source };
}

function syncCommand(parsed: ParsedOptions, run: RunRequest): SyncCommand {
  const operands = [...parsed.operands];
  const source = takeSource(parsed, operands);
  const destination = takeDestination(parsed, operands);
  if (destination.host === undefined && parsed.values.streams !== undefined) {
    throw usage('--streams needs another host: a local run has no connection');
  }
  const write = writeRequest(parsed);
  return { kind: 'sync', ...sendRequest(parsed, { ...run, ...write, destination }), source };
}

/** The last operand. */
function takeDestination({ values }: ParsedOptions, operands: string[]): Destination {
  const destination = parseDestination(takeOperand(operands, 'DESTINATION'));
  refuseRest(operands);
  if (destination.host === undefined && values.compress !== undefined) {
    throw usage('--compress needs another host, or --stdout: a local run has no change stream');
  }
  return destination;
}

function sendRequest(
  parsed: ParsedOptions,
  request: WriteRequest & Pick<SendRequest, 'destination'>,
): SendRequest {
  const discard = parsed.flags['no-discard'] !== true;
  return { ...request, ...readRequest(parsed), remote: remoteOptions(parsed), discard };
}

function cycleCommand(parsed: ParsedOptions, run: RunRequest): CycleCommand {
  const [, ...operands] = parsed.operands;
  const origin = takeOperand(operands, 'VOLUME');
  const destination = takeDestination(parsed, operands);
  const { flags, values } = parsed;
  const { snapback: directory } = values;
  if (directory === undefined) throw usage('cycle needs --snapback, the directory of its chain');
  const chain = { directory, init: flags.init === true, keep: parseKeep(values.keep) };
  const write = { snapback: undefined, allowSmaller: false, force: flags.force === true };
  const send = sendRequest(parsed, { ...run, ...write, destination });
  return {
    kind: 'cycle',
    ...send,
    // Without its confirmation nobody knows which point it holds.
    remote: { ...send.remote, requireAck: true },
    origin,
    chain,
    size: parseSize(values.size),
    hooks: { freeze: hookWords(values['freeze-cmd']), thaw: hookWords(values['thaw-cmd']) },
  };
}

function hookWords(text: string | undefined): Argv | undefined {
  const [program, ...words] = text === undefined ? [] : splitWords(text);
  return program === undefined ? undefined : [program, ...words];
}

/** As lvcreate takes it: `5G`, in units of 1024, or a share of the volume. */
function parseSize(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const [, digits = '0', unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)([KMGT%])$/i.exec(text) ?? [];
  if (unit === '%' && /^[1-9]\d{0,2}$/.test(digits)) return ['--extents', `${digits}%ORIGIN`];
  if (unit !== '%' && Number(digits) > 0) return ['--size', digits + unit.toLowerCase()];
  throw usage(`--size: expected a size such as 5G, or 20%, saw "${escapeText(text, 80)}"`);
}

function remoteOptions({ flags, values }: ParsedOptions): RemoteOptions {
  const program = values['remote-path'] ?? 'lvmsync';
  // It follows the host, and there ssh still looks for options of its own.
  if (program.startsWith('-')) throw usage('--remote-path: a program must not begin with "-"');
  return {
    transport: values.transport === 'ssh2' ? 'ssh2' : 'command',
    rsh: splitWords(values.rsh ?? 'ssh'),
    rshGiven: values.rsh !== undefined,
    program,
    sudo: flags.sudo === true,
    timeoutSeconds: parseSeconds('timeout', values.timeout),
    requireAck: flags['require-ack'] === true,
    streams: parseStreams(values.streams),
  };
}

const MOST_STREAMS = 16;

function parseStreams(text = '1'): number {
  const count = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MOST_STREAMS) return count;
  throw usage(
    `--streams: expected a number from 1 to ${MOST_STREAMS}, saw "${escapeText(text, 80)}"`,
  );
}

function parseSeconds(name: ValueName, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = /^\d{1,7}(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (seconds > 0) return seconds;
  throw usage(`--${name}: expected a number of seconds, saw "${escapeText(text, 80)}"`);
}

function writeRequest({ flags, values }: ParsedOptions): Omit<WriteRequest, keyof RunRequest> {
  const overwrite = flags['snapback-overwrite'] === true;
  if (overwrite && values.snapback === undefined) throw needs('snapback-overwrite', 'snapback');
  return {
    snapback: values.snapback === undefined ? undefined : { path: values.snapback, overwrite },
    allowSmaller: flags['allow-smaller'] === true,
    force: flags.force === true,
  };
}

function readRequest(parsed: ParsedOptions): Omit<ReadRequest, keyof RunRequest> {
  return {
    requireQuiet: parsed.flags['require-quiet'] === true,
    format: parsed.values.format === 'classic' ? 'classic' : 'auto',
    compression: compressionOf(parsed),
    bytesPerSecond: parseRate('bwlimit', parsed.values.bwlimit),
  };
}

function compressionOf({ values }: ParsedOptions): Compression {
  const { compress = 'none' } = values;
  return compress === 'auto' || compress === 'lz4' ? compress : 'none';
}

const UNITS = ['', 'K', 'M', 'G'];

function parseRate(name: ValueName, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, digits = '0', unit = ''] = /^(\d{1,12}(?:\.\d+)?)([KMG]?)$/i.exec(text) ?? [];
  const rate = Number(digits) * 1024 ** UNITS.indexOf(unit.toUpperCase());
  if (rate >= 1) return rate;
  throw usage(
    `--${name}: expected bytes a second, such as 500K or 1.5M, saw "${escapeText(text, 80)}"`,
  );
}

/** A COW store given by name takes the place of the SNAPSHOT operand. */
function takeSource({ values }: ParsedOptions, operands: string[]): SourceRequest {
  const dataSource = values['data-source'];
  const cowStore = values['cow-store'];
  if (cowStore === undefined) {
    const snapshot = takeOperand(operands, 'SNAPSHOT');
    return { kind: 'snapshot', snapshot, dataSource, since: values.since };
  }
  if (dataSource === undefined) throw needs('cow-store', 'data-source');
  if (values.since !== undefined) throw clash('since', '--cow-store');
  return { kind: 'cowStore', cowStore, dataSource };
}

function takeOperand(operands: string[], name: string): string {
  const operand = operands.shift();
  if (operand === undefined) throw usage(`missing operand: ${name}`);
  if (operand === '') throw usage(`${name}: the operand is empty`);
  return operand;
}

function refuseRest([unexpected]: readonly string[]): void {
  if (unexpected === undefined) return;
  throw usage(`too many operands: "${escapeText(unexpected, 80)}" was not expected`);
}

function clash(name: string, other: string): LvmsyncError {
  return new LvmsyncError('usage', `--${name} cannot be used with ${other}`);
}

function needs(name: string, needed: ValueName): LvmsyncError {
  return new LvmsyncError('usage', `--${name} needs --${needed}`);
}

function usage(message: string): LvmsyncError {
  return new LvmsyncError('usage', message, { hint: '"lvmsync --help" shows how it is used.' });
}
