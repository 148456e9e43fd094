/** The classes and levels of ionice, as a person names them. Pure. */

import { LvmsyncError } from '../base/errors.js';
import { escapeText } from '../base/text.js';

export interface IoPriority {
  /** As it was given: for the remote host. */
  readonly text: string;
  /** IOPRIO_CLASS_*. */
  readonly ioClass: number;
  readonly level: number;
}

const CLASSES: Readonly<Record<string, number>> = { realtime: 1, 'best-effort': 2, idle: 3 };
/** The default of ionice, where no level is named. */
const USUAL_LEVEL = 4;

/** Throws (usage) for anything but CLASS or CLASS:LEVEL; idle has no levels. */
export function parseIoPriority(text: string): IoPriority {
  const [, name = '', level] = /^([a-z-]+)(?::([0-7]))?$/.exec(text) ?? [];
  const ioClass = CLASSES[name];
  const isIdle = name === 'idle';
  if (ioClass === undefined || (isIdle && level !== undefined)) {
    throw new LvmsyncError(
      'usage',
      `--ionice: expected "idle", "best-effort:LEVEL" or "realtime:LEVEL", saw "${escapeText(text, 80)}"`,
      { hint: 'A level is a whole number from 0 to 7.' },
    );
  }
  return { text, ioClass, level: isIdle ? 0 : Number(level ?? USUAL_LEVEL) };
}
