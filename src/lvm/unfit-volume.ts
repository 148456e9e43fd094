/** The refusal of a volume that was found but cannot serve as a source (exit code sourceUnfit). */

import { LvmsyncError } from '../base/errors.js';
import type { VolumeName } from './device-name.js';

/** `what` is said of the volume: one phrase that completes "VG/LV: ...". */
export function unfit(volume: VolumeName, what: string, hint?: string): LvmsyncError {
  const context = hint === undefined ? {} : { hint };
  return new LvmsyncError('sourceUnfit', `${fullName(volume)}: ${what}`, context);
}

/** With -K: LVM does not activate a volume that has the flag "activation skip" without it, and says nothing. */
export function activationHint(name: string): string {
  return `Activate it: lvchange -ay -K ${name}`;
}

/** As LVM's tools take it. */
export function fullName({ vgName, lvName }: VolumeName): string {
  return `${vgName}/${lvName}`;
}
