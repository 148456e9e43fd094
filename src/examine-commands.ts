/** Commands that examine machines, devices and links and change nothing, made of options. All throw (usage). */

import type { ParsedOptions } from './option-grammar.js';
import { refuseRest, takeOperand } from './option-values.js';
import type { RemoteOptions, RunRequest } from './options.js';
import { type Destination, parseDestination } from './remote-name.js';
import { remoteOptions } from './source-commands.js';

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
