/** Commands that examine machines, devices and links and change nothing, made of options. All throw (usage). */

import { escapeText } from '../base/text.js';
import { parseDestination } from '../remote/destination-name.js';
import type { RunRequest } from '../run/request.js';
import type { BenchCommand, DoctorCommand } from './command.js';
import { takeDestination } from './destination-operand.js';
import type { ParsedOptions } from './option-grammar.js';
import { refuseRest, takeOperand, usage } from './option-values.js';
import { remoteOptions } from './read-commands.js';

/** Stands for a snapshot where there is none on this machine. */
const NO_SNAPSHOT = '-';

export function doctorCommand(parsed: ParsedOptions, run: RunRequest): DoctorCommand {
  const [, ...operands] = parsed.operands;
  const [first] = operands;
  const isSnapshot = first !== undefined && (operands.length > 1 || !namesHost(first));
  const snapshot = isSnapshot ? takeOperand(operands, 'SNAPSHOT') : undefined;
  const destination = operands.length === 0 ? undefined : takeDestination(operands);
  refuseRest(operands);
  return {
    ...{ kind: 'doctor', ...run },
    snapshot: snapshot === NO_SNAPSHOT ? undefined : snapshot,
    receives: snapshot === NO_SNAPSHOT,
    destination,
    snapback: parsed.values.snapback,
    json: parsed.flags.json === true,
    remote: remoteOptions(parsed),
  };
}

function namesHost(operand: string): boolean {
  return parseDestination(operand).host !== undefined;
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
  throw usage(`bench: "${escapeText(text, 80)}" is not the name of a host`);
}
