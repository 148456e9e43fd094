/** The program on a terminal of its own, made by script(1). */

import { existsSync } from 'node:fs';
import { quoteWord } from '../../../src/base/shell-words.js';
import { CLI, runTool } from './cli.js';

/** Of util-linux; a reason where it is missing. */
export const noTerminal = existsSync('/usr/bin/script') ? false : 'there is no script(1)';

export interface TerminalRun {
  readonly status: number | null;
  /** All that the program wrote to the terminal, where a line feed became "\r\n". */
  readonly screen: string;
}

/** Runs `lvmsync WORDS` to its end; both its standard output and error are the terminal, its input is a file. */
export function lvmsyncOnTerminal(
  words: readonly string[],
  columns: number,
  input = '/dev/null',
): TerminalRun {
  const command = [process.execPath, CLI, ...words].map(quoteWord).join(' ');
  const inside = `stty cols ${columns}; exec ${command} < ${quoteWord(input)}`;
  const argv = ['script', '--quiet', '--return', '--command', inside, '/dev/null'];
  const { status, stdout } = runTool(argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  return { status, screen: stdout.toString() };
}
