/** Commands that read a source and bring it to a destination, made of options. All throw (usage). */

import type { Compression, ReadRequest, WriteRequest } from '../pipeline/request.js';
import type { Destination } from '../remote/destination-name.js';
import type { RemoteOptions, SendRequest } from '../remote/request.js';
import type { RunRequest } from '../run/request.js';
import type { SourceRequest } from '../source/request.js';
import type { Comparison } from '../stream/control-frame.js';
import type {
  ChangesCommand,
  CycleCommand,
  DumpCommand,
  ListForm,
  SyncCommand,
  VerifyCommand,
} from './command.js';
import { pathOf, refuseRemoteSource, takeDestination } from './destination-operand.js';
import type { ParsedOptions } from './option-grammar.js';
import {
  clash,
  commandWords,
  fillRequest,
  hookWords,
  needs,
  parseKeep,
  parseRate,
  parseSeconds,
  parseSize,
  parseStreams,
  refuseRest,
  takeOperand,
  usage,
} from './option-values.js';
import { dryRunRequest, refuseHostInSnapback, writeRequest } from './write-commands.js';

export function dumpCommand(parsed: ParsedOptions, run: RunRequest): DumpCommand {
  const operands = [...parsed.operands];
  const source = takeSource(parsed, operands);
  refuseMore(parsed, operands);
  const read = { ...readRequest(parsed), ...fillRequest(parsed) };
  return { kind: 'dump', ...run, ...read, ...dryRunRequest(parsed), source };
}

export function syncCommand(parsed: ParsedOptions, run: RunRequest): SyncCommand {
  const { values } = parsed;
  const operands = [...parsed.operands];
  const source = takeSource(parsed, operands);
  const destination = lastOperand(parsed, operands);
  refuseLocalStreams(parsed, destination);
  if (destination.host === undefined && values['push-helper'] !== undefined) {
    throw usage('--push-helper needs a remote host');
  }
  const send = sendRequest(parsed, { ...run, ...writeRequest(parsed), destination });
  return { kind: 'sync', ...send, ...fillRequest(parsed), ...dryRunRequest(parsed), source };
}

function refuseLocalStreams({ values }: ParsedOptions, { host }: Destination): void {
  if (host !== undefined || values.streams === undefined) return;
  throw usage('--streams needs a remote host: a local run has no connection');
}

/** The last operand. */
function lastOperand(parsed: ParsedOptions, operands: string[]): Destination {
  const { values } = parsed;
  const destination = takeDestination(operands);
  refuseMore(parsed, operands);
  if (destination.host === undefined && values.compress !== undefined) {
    throw usage('--compress needs a remote host, or --stdout: a local run has no change stream');
  }
  return destination;
}

export function sendRequest(
  parsed: ParsedOptions,
  request: WriteRequest & Pick<SendRequest, 'destination'>,
): SendRequest {
  const discard = parsed.flags['no-discard'] !== true;
  return { ...request, ...readRequest(parsed), remote: remoteOptions(parsed), discard };
}

const FETCHED =
  'The order is VOLUME DESTINATION. Run the cycle on the host of the volume; or, to fetch it from there, write HOST:VG/LV.';

export function cycleCommand(parsed: ParsedOptions, run: RunRequest): CycleCommand {
  const [, ...operands] = parsed.operands;
  const origin = takeOperand(operands, 'VOLUME');
  refuseRemoteSource(origin, 'VOLUME', FETCHED);
  const destination = lastOperand(parsed, operands);
  refuseLocalStreams(parsed, destination);
  const { flags, values } = parsed;
  const { snapback: directory } = values;
  if (directory === undefined)
    throw usage('cycle needs --snapback, the directory of its restore points');
  refuseHostInSnapback(directory);
  const chain = { directory, init: flags.init === true, keep: parseKeep(values) };
  refuseWithEnd(parsed);
  const write = { snapback: undefined, allowSmaller: false, force: flags.force === true };
  const send = sendRequest(parsed, { ...run, ...write, destination });
  return {
    kind: 'cycle',
    ...send,
    ...fillRequest(parsed),
    ...dryRunRequest(parsed),
    // Without its confirmation nobody knows which point it holds.
    remote: { ...send.remote, requireAck: true },
    origin,
    chain,
    compare: values.compare as Comparison | undefined,
    size: parseSize(values.size),
    hooks: { freeze: hookWords('freeze-cmd', values), thaw: hookWords('thaw-cmd', values) },
    ...(flags.end === true && { end: true }),
  };
}

/** Other options of its runs may stand beside it, so that their command line can be used with one word more. */
function refuseWithEnd({ flags }: ParsedOptions): void {
  const other = (['init', 'force'] as const).find((name) => flags[name] === true);
  if (flags.end === true && other !== undefined) throw clash(other, '--end');
}

export function changesCommand(parsed: ParsedOptions, run: RunRequest): ChangesCommand {
  const { flags, values } = parsed;
  const operands = parsed.operands.slice(1);
  const source = takeSource(parsed, operands);
  refuseMore(parsed, operands);
  const summary = flags.summary === true;
  const form = (values.output ?? (flags.json === true ? 'json' : 'text')) as ListForm;
  if (form !== 'borg-map') return { kind: 'changes', ...run, source, form, summary };
  if (summary) throw clash('summary', '--output borg-map');
  return { kind: 'changes', ...run, source: unchangingPair(parsed, source), form, summary };
}

/** A map says of each block whether a former backup has it, so nothing may have changed since that was made. */
function unchangingPair({ values }: ParsedOptions, source: SourceRequest): SourceRequest {
  if (values['data-source'] !== undefined) throw clash('data-source', '--output borg-map');
  if (source.kind === 'cowStore' || source.since === undefined)
    throw usage('--output borg-map needs --since');
  return { ...source, bothReadOnly: true };
}

export function verifyCommand(parsed: ParsedOptions, run: RunRequest): VerifyCommand {
  const { flags, values } = parsed;
  const operands = parsed.operands.slice(1);
  const full = flags.full === true;
  const source = takeSource(parsed, operands);
  if (full && values.since !== undefined) throw clash('since', '--full');
  const destination = takeDestination(operands);
  refuseMore(parsed, operands);
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

export function remoteOptions({ flags, values }: ParsedOptions): RemoteOptions {
  const program = values['remote-path'] ?? 'lvmsync';
  // It follows the host, and there ssh still looks for options of its own.
  if (program.startsWith('-'))
    throw usage('--remote-path: the name of a program must not begin with "-"');
  const helper = values['push-helper'];
  if (helper !== undefined && values.transport === 'ssh2') {
    throw clash('push-helper', '--transport ssh2');
  }
  if (values.rsh !== undefined && values.transport === 'ssh2') {
    throw clash(
      'rsh',
      '--transport ssh2',
      'Put its options into ~/.ssh/config, which both read, or leave out --transport.',
    );
  }
  return {
    transport: values.transport === 'ssh2' ? 'ssh2' : 'rsh',
    rsh: commandWords('rsh', values.rsh ?? 'ssh'),
    rshGiven: values.rsh !== undefined,
    program,
    ...(helper === undefined ? {} : { helper }),
    sudo: flags.sudo === true,
    timeoutSeconds: parseSeconds('timeout', values.timeout),
    requireAck: flags['require-ack'] === true,
    streams: parseStreams(values.streams),
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

/** To be called when all operands are taken: a slip is to give a SNAPSHOT beside its COW store. */
function refuseMore({ values }: ParsedOptions, operands: readonly string[]): void {
  const slip = '--cow-store replaces SNAPSHOT: leave out SNAPSHOT, or --cow-store.';
  refuseRest(operands, values['cow-store'] === undefined ? undefined : slip);
}

/** A COW store given by name takes the place of the SNAPSHOT operand. */
function takeSource({ values }: ParsedOptions, operands: string[]): SourceRequest {
  const typed = values['data-source'];
  const dataSource = typed && pathOf(typed);
  const cowStore = values['cow-store'];
  if (cowStore === undefined) {
    const snapshot = takeOperand(operands, 'SNAPSHOT');
    if (operands.length > 0) refuseRemoteSource(snapshot, 'SNAPSHOT');
    else refuseRemoteSource(snapshot, 'SNAPSHOT', 'Run lvmsync on the host of the volume.');
    return { kind: 'snapshot', snapshot, dataSource, since: values.since };
  }
  if (dataSource === undefined) throw needs('cow-store', 'data-source');
  if (values.since !== undefined) throw clash('since', '--cow-store');
  return { kind: 'cowStore', cowStore, dataSource };
}
