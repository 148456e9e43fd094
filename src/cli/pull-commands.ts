/** The two sides of a cycle run that the host of the copy fetches, made of options. All throw (usage). */

import { LvmsyncError } from '../base/errors.js';
import { escapeText } from '../base/text.js';
import { parseDestination } from '../remote/destination-name.js';
import type { RunRequest } from '../run/request.js';
import type { Comparison } from '../stream/control-frame.js';
import type { CycleCommand, PullCommand, ServeCommand } from './command.js';
import { refuseRemoteSource, takeDestination } from './destination-operand.js';
import type { ParsedOptions } from './option-grammar.js';
import type { FlagName, ValueName } from './option-table.js';
import {
  clash,
  fillRequest,
  hookWords,
  parseKeep,
  parseSize,
  refuseRest,
  takeOperand,
  usage,
} from './option-values.js';
import { sendRequest } from './read-commands.js';
import { dryRunRequest, refuseHostInSnapback } from './write-commands.js';

/** Of the run on the host of the volume: a forced command there has its own. */
const PASSED_VALUES = [
  'size',
  'freeze-cmd',
  'thaw-cmd',
  'max-cow-use',
  'compress',
  'bwlimit',
  'timeout',
] as const satisfies readonly ValueName[];
const PASSED_FLAGS = ['require-quiet', 'no-discard'] as const satisfies readonly FlagName[];

/** What the puller decides, or nobody can over this connection. */
const NOT_SERVED = [
  'snapback',
  'keep',
  'keep-last',
  'keep-within',
  'compare',
  'rsh',
  'remote-path',
  'transport',
  'streams',
  'init',
  'force',
  'sudo',
] as const satisfies readonly (ValueName | FlagName)[];

/** Not /dev/VG/LV: so a destination is written, and whoever turns the operands round has to be refused. */
const VOLUME = /^[\w+.-]+\/[\w+.-]+$/;
const NAME = /^[\w.-]{1,64}$/;
/** Stands for whoever started a run with --serve. */
const PULLER = { host: 'puller', path: 'copy' };

/** Whether VOLUME names one of another host. */
export function isRemoteVolume(operand = ''): boolean {
  const [, volume = ''] = /^[^/]*:(.*)$/s.exec(operand) ?? [];
  return VOLUME.test(volume);
}

export function pullCommand(parsed: ParsedOptions, run: RunRequest): PullCommand {
  const [, ...operands] = parsed.operands;
  const { flags, values } = parsed;
  const origin = takeOperand(operands, 'VOLUME');
  const { host, path: volume } = parseDestination(origin);
  if (host === undefined) throw usage(`VOLUME: "${escapeText(origin, 80)}": write HOST:VG/LV`);
  const destination = takeDestination(operands);
  refuseRest(operands);
  if (destination.host !== undefined) throw twoHosts();
  refuseWithPull(parsed);
  const { snapback: directory } = values;
  if (directory === undefined)
    throw usage('cycle needs --snapback, the directory of its restore points');
  refuseHostInSnapback(directory);
  const write = { snapback: undefined, allowSmaller: false, force: flags.force === true };
  const compare = values.compare as Comparison | undefined;
  return {
    kind: 'pull',
    ...sendRequest(parsed, { ...run, ...write, destination }),
    ...{ origin, host, volume, compare },
    chain: {
      ...{ directory, init: flags.init === true, keep: parseKeep(values) },
      fetched: compare ?? 'none',
    },
    serve: [
      ...PASSED_VALUES.flatMap((name) =>
        values[name] === undefined ? [] : [`--${name}=${values[name]}`],
      ),
      ...PASSED_FLAGS.flatMap((name) => (flags[name] === true ? [`--${name}`] : [])),
    ],
  };
}

function twoHosts(): LvmsyncError {
  return new LvmsyncError('usage', 'VOLUME and DESTINATION are both on another host', {
    hint: 'Run the cycle on one of the two hosts.',
  });
}

function refuseWithPull({ flags, values }: ParsedOptions): void {
  const what = 'a VOLUME of another host';
  if (flags['dry-run'] === true) throw clash('dry-run', what);
  if (values.streams !== undefined) throw clash('streams', what);
  if (values.transport === 'ssh2') throw clash('transport', what, 'Leave out --transport ssh2.');
  if (flags.end === true) {
    const hint = 'On the host of VOLUME, type: lvmsync cycle --end --serve VG/LV';
    throw clash('end', what, hint);
  }
}

export function serveCommand(parsed: ParsedOptions, run: RunRequest): ServeCommand {
  const [, ...operands] = parsed.operands;
  const { flags, values } = parsed;
  const origin = takeOperand(operands, 'VOLUME');
  const name = operands.shift() ?? '';
  refuseRest(operands);
  refuseRemoteSource(origin, 'VOLUME');
  if (name !== '' && !NAME.test(name)) {
    throw usage(
      `NAME: expected letters, digits, ".", "_" or "-", saw "${escapeText(name, 80)}"; --serve takes no DESTINATION`,
    );
  }
  const foreign = NOT_SERVED.find((one) => one in { ...values, ...flags });
  if (foreign !== undefined) {
    throw clash(foreign, '--serve', 'It belongs to the command on the host of the copy.');
  }
  if (flags['dry-run'] === true && flags.end !== true) throw clash('dry-run', '--serve');
  const write = { snapback: undefined, allowSmaller: false, force: false };
  const send = sendRequest(parsed, { ...run, ...write, destination: PULLER });
  const cycle: CycleCommand = {
    kind: 'cycle',
    ...send,
    ...fillRequest(parsed),
    ...dryRunRequest(parsed),
    remote: { ...send.remote, requireAck: true },
    ...{ origin, chain: { directory: '', init: false, keep: [] }, compare: undefined },
    size: parseSize(values.size),
    hooks: { freeze: hookWords('freeze-cmd', values), thaw: hookWords('thaw-cmd', values) },
    ...(flags.end === true && { end: true }),
  };
  return { kind: 'serve', ...run, name, cycle };
}
