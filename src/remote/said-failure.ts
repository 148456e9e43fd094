/** The failure that the lvmsync of a remote host printed: "FATAL ERROR:", its state, its hint. Pure. */

import { escapeText } from '../base/text.js';

export interface SaidFailure {
  readonly message: string;
  /** The next step, if it named one. */
  readonly hint: string | undefined;
}

const FATAL = /^FATAL ERROR: (.*)$/s;
/** The state that a refusal leaves. */
const NOTHING_DONE = /^Nothing was \w+( there)?\.$/;
const LONGEST = 600;

/** Undefined where the last lines of a peer hold none. */
export function failureIn(lines: readonly string[]): SaidFailure | undefined {
  const at = lines.map((line) => FATAL.test(line)).lastIndexOf(true);
  const [, message] = FATAL.exec(lines[at] ?? '') ?? [];
  if (message === undefined) return undefined;
  const hint = lines.slice(at + 1).find((line) => !NOTHING_DONE.test(line));
  return {
    message: escapeText(message, LONGEST),
    hint: hint === undefined ? undefined : escapeText(hint, LONGEST),
  };
}
