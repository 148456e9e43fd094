/** Options into a Command: what one run is to do, with nothing left to decide about the words. */

import { LvmsyncError } from './errors.js';
import { type IoPriority, parseIoPriority } from './io-priority.js';
import type { ParsedOptions } from './option-grammar.js';
import {
  type Action,
  OPTION_TABLE,
  type OptionEntry,
  type OptionSpec,
  type ValueName,
} from './option-table.js';
import { type Destination, parseDestination } from './remote-name.js';
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

/** How much of processor and disks a run may take while others want them. Absent: as it was started. */
export interface PriorityRequest {
  readonly nice?: number;
  readonly io?: IoPriority;
}

interface RunRequest {
  readonly verbosity: Verbosity;
  readonly priority?: PriorityRequest;
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
}

interface ReadRequest extends RunRequest {
  readonly source: SourceRequest;
  /** A source that is written while it is read makes the run fail. */
  readonly requireQuiet: boolean;
  readonly format: StreamFormat;
  readonly compression: Compression;
  /** Bytes a second. */
  readonly bytesPerSecond: number | undefined;
}

/** Percent: a run ends when a COW store or thin pool that it depends on is so full. Absent: it does not. */
interface FillRequest {
  readonly maxCowUse?: number;
}

export interface DumpCommand extends ReadRequest, FillRequest {
  readonly kind: 'dump';
}

export interface SyncCommand extends WriteRequest, ReadRequest, FillRequest {
  readonly kind: 'sync';
  /** What is known to read as zeros may be given back at the destination instead of being written. */
  readonly discard: boolean;
  readonly destination: Destination;
  readonly remote: RemoteOptions;
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
    Pick<ReadRequest, 'source' | 'requireQuiet' | 'bytesPerSecond'> {
  readonly kind: 'verify';
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

export type Command =
  | { readonly kind: 'version' }
  | { readonly kind: 'help' }
  | InspectCommand
  | ApplyCommand
  | DumpCommand
  | SyncCommand
  | VerifyCommand
  | HashCommand;

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
  const run = { verbosity, warnings, ...(priority && { priority }) };
  switch (action) {
    case 'inspect':
      return inspectCommand(parsed, run);
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
  'hash-blocks': 'hash',
};

/** Words that ask for an action where they stand first. */
const COMMAND_WORDS = ['inspect', 'verify'] as const;

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
  const word = COMMAND_WORDS.find((known) => known === command);
  if (first === undefined && word !== undefined) return { action: word, asked: word };
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
  return { kind: 'apply', ...run, ...writeRequest(parsed), input, destination };
}

function inspectCommand({ operands, flags }: ParsedOptions, run: RunRequest): InspectCommand {
  const [, ...files] = operands;
  if (files.length === 0) throw usage('missing operand: FILE');
  return { kind: 'inspect', ...run, files, json: flags.json === true };
}

function dumpCommand(parsed: ParsedOptions, run: RunRequest): DumpCommand {
  const operands = [...parsed.operands];
  const read = readRequest(parsed, operands);
  refuseRest(operands);
  return { kind: 'dump', ...run, ...read, ...fillRequest(parsed) };
}

function syncCommand(parsed: ParsedOptions, run: RunRequest): SyncCommand {
  const operands = [...parsed.operands];
  const read = readRequest(parsed, operands);
  const destination = parseDestination(takeOperand(operands, 'DESTINATION'));
  refuseRest(operands);
  if (destination.host === undefined && parsed.values.compress !== undefined) {
    throw usage('--compress needs another host, or --stdout: a local run has no change stream');
  }
  if (destination.host === undefined && parsed.values.streams !== undefined) {
    throw usage('--streams needs another host: a local run has no connection');
  }
  if (destination.host === undefined && parsed.values['push-helper'] !== undefined) {
    throw usage('--push-helper needs another host');
  }
  const discard = parsed.flags['no-discard'] !== true;
  const rest = { destination, remote: remoteOptions(parsed), discard };
  const fill = fillRequest(parsed);
  return { kind: 'sync', ...run, ...writeRequest(parsed), ...read, ...fill, ...rest };
}

function fillRequest({ values }: ParsedOptions): FillRequest {
  const text = values['max-cow-use'];
  if (text === undefined) return {};
  const percent = /^\d{1,3}%?$/.test(text) ? Number.parseInt(text, 10) : 0;
  if (percent >= 1 && percent <= 100) return { maxCowUse: percent };
  throw usage(`--max-cow-use: expected a percentage, saw "${escapeText(text, 80)}"`);
}

function verifyCommand(parsed: ParsedOptions, run: RunRequest): VerifyCommand {
  const { flags, values } = parsed;
  const operands = parsed.operands.slice(1);
  const full = flags.full === true;
  const source = takeSource(parsed, operands);
  if (full && values.since !== undefined) throw clash('since', '--full');
  const destination = parseDestination(takeOperand(operands, 'DESTINATION'));
  refuseRest(operands);
  const repair = flags.repair === true;
  const needless = (['snapback', 'force'] as const).find((name) => name in { ...values, ...flags });
  if (!repair && needless !== undefined) throw needs(needless, 'repair');
  return {
    ...{ kind: 'verify', ...run, ...writeRequest(parsed), source, full, repair, destination },
    requireQuiet: flags['require-quiet'] === true,
    bytesPerSecond: parseRate('bwlimit', values.bwlimit),
    json: flags.json === true,
    remote: remoteOptions(parsed),
  };
}

function hashCommand(parsed: ParsedOptions, run: RunRequest): HashCommand {
  const operands = [...parsed.operands];
  const destination = takeOperand(operands, 'DESTINATION');
  refuseRest(operands);
  return { kind: 'hash', ...run, destination };
}

function priorityRequest({ nice, ionice }: ParsedOptions['values']): PriorityRequest | undefined {
  if (nice === undefined && ionice === undefined) return undefined;
  return {
    ...(nice !== undefined && { nice: parseNice(nice) }),
    ...(ionice !== undefined && { io: parseIoPriority(ionice) }),
  };
}

function parseNice(text: string): number {
  const nice = /^[-+]?\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  if (nice >= -20 && nice <= 19) return nice;
  throw usage(`--nice: expected a number from -20 to 19, saw "${escapeText(text, 80)}"`);
}

function remoteOptions({ flags, values }: ParsedOptions): RemoteOptions {
  const program = values['remote-path'] ?? 'lvmsync';
  // It follows the host, and there ssh still looks for options of its own.
  if (program.startsWith('-')) throw usage('--remote-path: a program must not begin with "-"');
  const helper = values['push-helper'];
  if (helper !== undefined && values.transport === 'ssh2') {
    throw clash('push-helper', '--transport ssh2');
  }
  return {
    transport: values.transport === 'ssh2' ? 'ssh2' : 'command',
    rsh: splitWords(values.rsh ?? 'ssh'),
    rshGiven: values.rsh !== undefined,
    program,
    ...(helper === undefined ? {} : { helper }),
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

/** Takes the SNAPSHOT operand, where there is one. */
function readRequest(
  parsed: ParsedOptions,
  operands: string[],
): Omit<ReadRequest, keyof RunRequest> {
  return {
    source: takeSource(parsed, operands),
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

function needs(name: string, needed: OptionEntry['name']): LvmsyncError {
  return new LvmsyncError('usage', `--${name} needs --${needed}`);
}

function usage(message: string): LvmsyncError {
  return new LvmsyncError('usage', message, { hint: '"lvmsync --help" shows how it is used.' });
}
