/** The action that the words ask for, and whether the options go together with it. */

import { existsSync } from 'node:fs';
import { LvmsyncError } from '../base/errors.js';
import { escapeText } from '../base/text.js';
import type { Verbosity } from '../run/request.js';
import { COMMAND_TABLE, COMMAND_WORDS } from './command-table.js';
import { type ParsedOptions, parseOptions } from './option-grammar.js';
import { type Action, OPTION_TABLE, type OptionEntry, type OptionSpec } from './option-table.js';
import { clash, usage } from './option-values.js';
import { nearest } from './suggest.js';

export function chooseVerbosity({ flags }: ParsedOptions): Verbosity {
  if (flags.quiet && (flags.verbose || flags.debug)) {
    throw usage("I can't run quietly *and* verbosely at the same time!");
  }
  if (flags.quiet) return 'quiet';
  if (flags.debug) return 'debug';
  return flags.verbose ? 'verbose' : 'normal';
}

/** Node.js puts U+FFFD for each byte that is not UTF-8: the name would be of another file. */
export function checkUtf8(word: string): void {
  if (word.includes('\ufffd'))
    throw usage(`"${escapeText(word, 80)}": the name is not valid UTF-8`);
}

export function isGiven(parsed: ParsedOptions, entry: OptionEntry): boolean {
  if ('argument' in entry) return parsed.values[entry.name] !== undefined;
  return parsed.flags[entry.name] === true;
}

/** An option that serves a single action, and is more than a detail of it, asks for that action. */
const ASKS_FOR: Readonly<Partial<Record<OptionEntry['name'], Action>>> = {
  apply: 'apply',
  server: 'apply',
  stdout: 'dump',
  'hash-blocks': 'hash',
};

/**
 * The action, and what asked for it: an option, or the first operand, since no snapshot is named
 * without a slash. Nothing asks for a sync.
 */
export function chooseAction(
  given: readonly OptionEntry[],
  [command]: readonly string[],
): { action: Action; asked: string } {
  const asking = given.filter(({ name }) => ASKS_FOR[name] !== undefined);
  const [first, second] = asking;
  const named = COMMAND_TABLE.find(({ name, isWord }) => isWord && name === command);
  if (first === undefined && named !== undefined)
    return { action: named.action, asked: named.name };
  if (first === undefined) return { action: 'sync', asked: 'a SNAPSHOT and a DESTINATION' };
  if (second !== undefined) throw clash(first.name, `--${second.name}`);
  return { action: ASKS_FOR[first.name] ?? 'sync', asked: `--${first.name}` };
}

/** Refuses options that mean nothing to this action; warns of those a script may have always passed. */
export function checkActions(
  given: readonly OptionSpec[],
  action: Action,
  asked: string,
): readonly string[] {
  const warnings: string[] = [];
  if (asked === '--server') warnings.push('--server is deprecated: write "--apply -" instead');
  for (const { name, actions, harmlessElsewhere } of given) {
    if (actions.includes(action)) continue;
    if (!harmlessElsewhere) throw foreign(name, actions, asked);
    warnings.push(`--${name} has no effect with ${asked}`);
  }
  return warnings;
}

/** Says, too, what the option belongs to. */
function foreign(name: string, actions: readonly Action[], asked: string): LvmsyncError {
  const owners = COMMAND_TABLE.filter(({ action }) => actions.includes(action));
  const names = owners.map(({ name, isWord }) => (isWord ? name : (BY_OPTION[name] ?? 'a sync')));
  return new LvmsyncError('usage', `--${name} cannot be used with ${asked}`, {
    hint: `It can be used with: ${names.join(', ')}.`,
  });
}

const BY_OPTION: Readonly<Record<string, string>> = { apply: '--apply', stdout: '--stdout' };

/**
 * A first word without a slash names no snapshot. Throws (usage) where it is none of a file, and looks like a command
 * that was mistyped, or there are more words than a sync has.
 */
export function refuseUnknownCommand(
  [word, ...others]: readonly string[],
  exists: (path: string) => boolean = existsSync,
): void {
  if (word === undefined || word.includes('/') || exists(word)) return;
  const form = COMMAND_TABLE.find(({ name, isWord }) => name === word && !isWord);
  if (form !== undefined) {
    throw new LvmsyncError('usage', `"${word}" is not typed as a word`, {
      hint: `Type: lvmsync ${form.synopsis[0]}`,
    });
  }
  const meant = nearest(word, [...COMMAND_WORDS, 'help']);
  if (meant === undefined && others.length === 1) return;
  throw new LvmsyncError('usage', `unknown command "${escapeText(word, 80)}"`, {
    hint:
      meant === undefined
        ? `The commands are ${COMMAND_WORDS.join(', ')} and help; a snapshot is named VG/LV or /dev/VG/LV.`
        : `Did you mean "${meant}"?`,
  });
}

export function checkValue(parsed: ParsedOptions, entry: OptionEntry): void {
  if (!('argument' in entry)) return;
  const value = parsed.values[entry.name];
  if (value === '') throw usage(`--${entry.name}: the value is empty`);
  if (!('choices' in entry) || value === undefined) return;
  const choices: readonly string[] = entry.choices;
  if (choices.includes(value)) return;
  const expected = choices.map((choice) => `"${choice}"`).join(' or ');
  throw usage(`--${entry.name}: expected ${expected}, saw "${escapeText(value, 80)}"`);
}

/** A value that can be left out has to be attached: a word after it is an operand. Throws (usage) for one that is no file. */
export function refuseDetached({ values, operands }: ParsedOptions, entry: OptionEntry): void {
  if (!('withoutValue' in entry) || values[entry.name] !== entry.withoutValue) return;
  const choices: readonly string[] = entry.choices;
  const detached = operands.find((word) => choices.includes(word) && !existsSync(word));
  if (detached === undefined) return;
  throw usage(`--${entry.name}: write --${entry.name}=${detached}, without a blank`);
}

/** Whose --json is of standard output alone: what a cycle asks at the other end, and its like. */
const TEXT_ON_STDERR: readonly string[] = [
  'inspect',
  'chain',
  'status',
  'doctor',
  'bench',
] satisfies Action[];

/** Whether messages are to be JSON; also of words that cannot be understood, so that this can be said. */
export function saysJson(argv: readonly string[]): boolean {
  const { json, action } = understood(argv) ?? atFirstSight(argv);
  return json && !TEXT_ON_STDERR.includes(action);
}

function understood(argv: readonly string[]): { json: boolean; action: string } | undefined {
  try {
    const parsed = parseOptions(argv);
    const given = OPTION_TABLE.filter((entry) => isGiven(parsed, entry));
    const { action } = chooseAction(given, parsed.operands);
    return { json: parsed.flags.json === true, action };
  } catch {
    return undefined;
  }
}

function atFirstSight(argv: readonly string[]): { json: boolean; action: string } {
  const end = argv.indexOf('--');
  const words = end < 0 ? argv : argv.slice(0, end);
  return {
    json: words.includes('--json'),
    action: words.find((word) => !word.startsWith('-')) ?? '',
  };
}
