/** Commands that examine machines, devices and links and change nothing, made of options. All throw (usage). */

import type { ParsedOptions } from './option-grammar.js';
import { refuseRest, takeOperand, usage } from './option-values.js';
import type { RemoteOptions, RunRequest } from './options.js';
import { type Destination, parseDestination } from './remote-name.js';
import { remoteOptions } from './source-commands.js';
import { escapeText } from './text.js';

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

/** Stands for a snapshot where there is none on this machine. */
const NO_SNAPSHOT = '-';

export function doctorCommand(parsed: ParsedOptions, run: RunRequest): DoctorCommand {
  const [, ...operands] = parsed.operands;
  const [first] = operands;
  const isSnapshot = first !== undefined && (operands.length > 1 || !namesHost(first));
  const snapshot = isSnapshot ? takeOperand(operands, 'SNAPSHOT') : undefined;
  const destination = operands.length === 0 ? undefined : takeOperand(operands, 'DESTINATION');
  refuseRest(operands);
  return {
    ...{ kind: 'doctor', ...run },
    snapshot: snapshot === NO_SNAPSHOT ? undefined : snapshot,
    receives: snapshot === NO_SNAPSHOT,
    destination: destination === undefined ? undefined : parseDestination(destination),
    snapback: parsed.values.snapback,
    json: parsed.flags.json === true,
    remote: remoteOptions(parsed),
  };
}

function namesHost(operand: string): boolean {
  return parseDestination(operand).host !== undefined;
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

/** Connections where no number is asked for. */
const DEFAULT_STREAMS = 4;

/** The name of a source has a slash, that of a host has none. */
export function benchCommand(parsed: ParsedOptions, run: RunRequest): BenchCommand {
  const [, ...operands] = parsed.operands;
  const source = operands[0]?.includes('/') ? takeOperand(operands, 'DEVICE') : undefined;
  const host = operands.length === 0 ? undefined : takeOperand(operands, 'HOST');
  refuseRest(operands);
  const { scratch, streams } = parsed.values;
  if (source === undefined && host === undefined && scratch === undefined) {
    throw usage('bench: name a SNAPSHOT or DEVICE, a HOST, or --scratch FILE');
  }
  const remote = remoteOptions(parsed);
  return {
    ...{ kind: 'bench', ...run, source, scratch, remote },
    host: host === undefined ? undefined : hostOf(host),
    streams: streams === undefined ? DEFAULT_STREAMS : remote.streams,
    json: parsed.flags.json === true,
  };
}

function hostOf(text: string): string {
  const { host } = parseDestination(`${text}:.`);
  if (host !== undefined && !text.includes('/')) return host;
  throw usage(`bench: "${escapeText(text, 80)}" is no name of a host`);
}
