/** Command lines and what the program takes them for. */

import type { Command } from '../../../src/cli/command.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';

export function command(...argv: string[]): Command {
  return toCommand(parseOptions(argv));
}

/** How another host is asked where no option says anything of it. */
export const REMOTE = {
  transport: 'rsh',
  rsh: ['ssh'],
  rshGiven: false,
  program: 'lvmsync',
  sudo: false,
  timeoutSeconds: undefined,
  requireAck: false,
  streams: 1,
} as const;
