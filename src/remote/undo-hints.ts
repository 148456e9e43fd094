/** Commands that a message tells a person to type, here or on the remote host. Pure. */

import { typedPath } from '../base/shell-words.js';

/** The command that a person would type to go back, on the host that is named, or here. */
export function undoCommand({
  snapback,
  path,
  host,
}: {
  readonly snapback: string;
  readonly path: string;
  readonly host: string | undefined;
}): string {
  return `lvmsync --apply ${typedPath(snapback, host)} ${typedPath(path, host)}`;
}

/** Likewise, to undo the part of an unfinished turn in the chain in `directory`. */
export function undoTurnCommand(place: ChainPlace): string {
  return rollbackCommand('--steps 0', place);
}

/** Likewise, to take back the last rollback. */
export function redoCommand(place: ChainPlace): string {
  return rollbackCommand('--redo', place);
}

export interface ChainPlace {
  readonly directory: string;
  readonly path: string;
  readonly host: string | undefined;
}

/** `how`: its options. */
export function rollbackCommand(how: string, { directory, path, host }: ChainPlace): string {
  return `lvmsync rollback ${how} ${typedPath(path, host)} ${typedPath(directory, host)}`;
}
