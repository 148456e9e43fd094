/** The operand DESTINATION, here or on another host. */

import { existsSync } from 'node:fs';
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
  return pathOf(takeOperand(operands, NAME));
}

/** VG/LV is /dev/VG/LV where nothing of the first name is there, and the volume is. */
export function pathOf(operand: string, exists: (path: string) => boolean = existsSync): string {
  const device = `/dev/${operand}`;
  return VOLUME.test(operand) && !exists(operand) && exists(device) ? device : operand;
}
