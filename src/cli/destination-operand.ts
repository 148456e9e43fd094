/** The operand DESTINATION, here or on another host. */

import { existsSync } from 'node:fs';
import { LvmsyncError } from '../base/errors.js';
import { escapeText } from '../base/text.js';
import { type Destination, parseDestination } from '../remote/destination-name.js';
import { takeOperand } from './option-values.js';

const NAME = 'DESTINATION';
/** As a source is named; with a "/" in front, or a "." alone, it would be a path. */
const VOLUME = /^[\w+-][\w+.-]*\/[\w+-][\w+.-]*$/;

/** On another host that host looks what it means. Throws (usage). */
export function takeDestination(operands: string[]): Destination {
  const destination = parseDestination(takeOperand(operands, NAME));
  if (destination.host !== undefined) return destination;
  return { path: pathOf(destination.path) };
}

/** A destination on this machine. Throws (usage). */
export function takeLocalDestination(operands: string[]): string {
  return takeLocalPath(operands, NAME, pathOf);
}

/** An operand of a command that knows no other machine. Throws (usage) for what is no file here and names a host. */
export function takeLocalPath(
  operands: string[],
  name: string,
  resolve = (operand: string) => operand,
): string {
  const operand = takeOperand(operands, name);
  refuseHost(operand, name);
  return resolve(operand);
}

/** Only with a path from the root: other names with a colon are those of files, as they always were. */
export function refuseHost(operand: string, name: string): void {
  if (!/^[^/:]+:\/./.test(operand) || existsSync(operand)) return;
  throw new LvmsyncError('usage', `${name}: "${escapeText(operand, 80)}" is not on this host`, {
    hint: `Run lvmsync on that host. For a local path with a colon, put a slash before the colon, such as ./a:b.`,
  });
}

/** The way out where nothing else is said. */
function there(name: string): string {
  return `The order is ${name} DESTINATION. Run lvmsync on the host of the volume.`;
}

/**
 * Throws (usage) for a source on another host: the commonest slip is to turn the operands round. `hint`: the
 * way out of a command with other operands.
 */
export function refuseRemoteSource(operand: string, name: string, hint = there(name)): void {
  if (!/^[^/:]+:./.test(operand) || existsSync(operand)) return;
  throw new LvmsyncError(
    'usage',
    `${name}: "${escapeText(operand, 80)}" names a host, but the source is always on this host`,
    { hint },
  );
}

/** VG/LV is /dev/VG/LV where nothing of the first name is there, and the volume is. */
export function pathOf(operand: string, exists: (path: string) => boolean = existsSync): string {
  const device = `/dev/${operand}`;
  return VOLUME.test(operand) && !exists(operand) && exists(device) ? device : operand;
}
