/** Commands that examine machines, devices and links and change nothing, made of options. All throw (usage). */

import { existsSync } from 'node:fs';
import type { LvmsyncError } from '../base/errors.js';
import { escapeText } from '../base/text.js';
import { parseDestination } from '../remote/destination-name.js';
import { LIMITS } from '../remote/stall-watch.js';
import type { RunRequest } from '../run/request.js';
import type { BenchCommand, DoctorCommand, StatusCommand } from './command.js';
import { refuseHost, takeDestination } from './destination-operand.js';
import type { ParsedOptions } from './option-grammar.js';
import { parseAge, parseSeconds, refuseRest, takeOperand, usage } from './option-values.js';
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

export function statusCommand(parsed: ParsedOptions, run: RunRequest): StatusCommand {
  const [, ...operands] = parsed.operands;
  refuseRest(operands, 'It looks at all cycles and copies of this host.');
  const age = parseAge('max-age', parsed.values);
  return {
    ...{ kind: 'status', ...run },
    maxAge: age === undefined ? undefined : age * 1000,
    limitSeconds: parseSeconds('timeout', parsed.values.timeout) ?? LIMITS.answer,
    json: parsed.flags.json === true,
  };
}

function namesHost(operand: string): boolean {
  return parseDestination(operand).host !== undefined;
}

/** Connections where no number is asked for. */
const DEFAULT_STREAMS = 4;

/** As everywhere a host is what stands before a colon. */
export function benchCommand(parsed: ParsedOptions, run: RunRequest): BenchCommand {
  const [, ...operands] = parsed.operands;
  const isSource = operands[0]?.includes(':') === false;
  const source = isSource ? takeOperand(operands, 'DEVICE') : undefined;
  const host = operands.length === 0 ? undefined : takeOperand(operands, 'HOST:');
  refuseRest(operands);
  const { scratch, streams } = parsed.values;
  if (source !== undefined && !source.includes('/') && !existsSync(source)) throw bareWord(source);
  if (source === undefined && host === undefined && scratch === undefined) {
    throw usage('bench: name a SNAPSHOT or DEVICE, a HOST:, or --scratch FILE');
  }
  if (scratch !== undefined) refuseHost(scratch, '--scratch');
  const remote = remoteOptions(parsed);
  return {
    ...{ kind: 'bench', ...run, source, scratch, remote },
    host: host === undefined ? undefined : hostOf(host),
    streams: streams === undefined ? DEFAULT_STREAMS : remote.streams,
    json: parsed.flags.json === true,
  };
}

function bareWord(text: string): LvmsyncError {
  const shown = escapeText(text, 80);
  return usage(`bench: "${shown}": no such file. A colon ends the name of a host: "${shown}:".`);
}

function hostOf(text: string): string {
  const { host } = parseDestination(text.endsWith(':') ? `${text}.` : text);
  if (host !== undefined && text.endsWith(':')) return host;
  const shown = escapeText(text, 80);
  const what = host === undefined ? 'not a host: a colon ends its name' : 'it measures no path';
  throw usage(`bench: "${shown}": ${what}. Name the host alone, as "backup:".`);
}
