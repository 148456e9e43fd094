import { LvmsyncError } from '../base/errors.js';
import { escapeText } from '../base/text.js';
import type { Command } from './command.js';
import { COMMAND_TABLE, commandOf } from './command-table.js';
import { benchCommand, doctorCommand, statusCommand } from './examine-commands.js';
import {
  checkActions,
  checkUtf8,
  checkValue,
  chooseAction,
  chooseVerbosity,
  isGiven,
  refuseDetached,
  refuseUnknownCommand,
} from './option-checks.js';
import type { ParsedOptions } from './option-grammar.js';
import { type Action, OPTION_TABLE, type OptionEntry } from './option-table.js';
import { metricsRequest, pointToHelp, priorityRequest } from './option-values.js';
import { isRemoteVolume, pullCommand, serveCommand } from './pull-commands.js';
import {
  changesCommand,
  cycleCommand,
  dumpCommand,
  syncCommand,
  verifyCommand,
} from './read-commands.js';
import { nearest } from './suggest.js';
import {
  applyCommand,
  chainCommand,
  hashCommand,
  inspectCommand,
  rollbackCommand,
} from './write-commands.js';

/** Throws (usage) for options that contradict each other, and for operands missing or left over. */
export function toCommand(parsed: ParsedOptions): Command {
  if (parsed.flags.version) return { kind: 'version' };
  if (parsed.flags.licenses) return { kind: 'licenses' };
  if (parsed.flags.help || parsed.operands[0] === 'help') return helpCommand(parsed);
  for (const word of [...Object.values(parsed.values), ...parsed.operands]) checkUtf8(word);
  const given = OPTION_TABLE.filter((entry) => isGiven(parsed, entry));
  const { action, asked } = chooseAction(given, parsed.operands);
  try {
    return commandFor(action, asked, parsed, given);
  } catch (error) {
    // Who has typed nothing needs the list of the commands.
    throw pointToHelp(
      error,
      parsed.operands.length + given.length === 0 ? undefined : commandOf(action),
    );
  }
}

function commandFor(
  action: Action,
  asked: string,
  parsed: ParsedOptions,
  given: readonly OptionEntry[],
): Command {
  const verbosity = chooseVerbosity(parsed);
  for (const entry of given) refuseDetached(parsed, entry);
  const readsVolume = action === 'sync' && parsed.values['cow-store'] === undefined;
  if (readsVolume) refuseUnknownCommand(parsed.operands);
  for (const entry of given) checkValue(parsed, entry);
  const warnings = checkActions(given, action, asked);
  const priority = priorityRequest(parsed.values);
  const run = { verbosity, warnings, ...(priority && { priority }), ...metricsRequest(parsed) };
  switch (action) {
    case 'inspect':
      return inspectCommand(parsed, run);
    case 'changes':
      return changesCommand(parsed, run);
    case 'chain':
      return chainCommand(parsed, run);
    case 'rollback':
      return rollbackCommand(parsed, run);
    case 'cycle':
      if (parsed.flags.serve === true) return serveCommand(parsed, run);
      if (isRemoteVolume(parsed.operands[1])) return pullCommand(parsed, run);
      return cycleCommand(parsed, run);
    case 'bench':
      return benchCommand(parsed, run);
    case 'status':
      return statusCommand(parsed, run);
    case 'doctor':
      return doctorCommand(parsed, run);
    case 'apply':
      return applyCommand(parsed, run);
    case 'dump':
      return dumpCommand(parsed, run);
    case 'sync':
      return syncCommand(parsed, run);
    case 'verify':
      return verifyCommand(parsed, run);
    case 'hash':
      return hashCommand(parsed, run);
  }
}

/** `--help` is of the command that was named before it; `help` of the one named after it. */
function helpCommand({ flags, operands, ...parsed }: ParsedOptions): Command {
  const [first, name] = operands;
  if (first === 'help' && name !== undefined && name !== 'help') {
    const about = COMMAND_TABLE.find((command) => command.name === name);
    if (about !== undefined) return { kind: 'help', about };
    const names = COMMAND_TABLE.map((command) => command.name);
    const meant = nearest(name, names);
    throw new LvmsyncError('usage', `unknown command "${escapeText(name, 80)}"`, {
      hint:
        meant === undefined ? `The commands are ${names.join(', ')}.` : `Did you mean "${meant}"?`,
    });
  }
  const given = OPTION_TABLE.filter((entry) => isGiven({ flags, operands, ...parsed }, entry));
  const { action } = chooseAction(given, operands);
  const named = COMMAND_TABLE.find((command) => command.name === first);
  const about = action === 'sync' ? named : commandOf(action);
  return about === undefined ? { kind: 'help' } : { kind: 'help', about };
}
