/**
 * argv into options and operands, by the grammar of Ruby's optparse, so that what a script wrote for
 * the Ruby lvmsync means the same here. It knows words only; what they ask for is in parse.ts.
 */

import { LvmsyncError } from '../base/errors.js';
import { COMMAND_TABLE, commandOf, usageHint } from './command-table.js';
import {
  type Action,
  type FlagName,
  OPTION_TABLE,
  type OptionEntry,
  type OptionSpec,
  type ValueName,
} from './option-table.js';
import { nearest } from './suggest.js';

/** An option that was not given is absent; of one given twice the last counts, or both do. */
export interface ParsedOptions {
  readonly flags: Readonly<Partial<Record<FlagName, boolean>>>;
  readonly values: Readonly<Partial<Record<ValueName, string>>>;
  readonly operands: readonly string[];
}

/** A long name and what it does: `no-verbose` is `verbose` set to false. */
interface LongName {
  readonly text: string;
  readonly entry: OptionEntry;
  readonly setTo: boolean;
}

/** Words still to be read, first one first; flag bundles put their remainder back. */
type Remaining = string[];

interface MutableOptions {
  /** The options of the command that the first word names: abbreviations mean those. */
  readonly action: Action | undefined;
  readonly flags: Partial<Record<FlagName, boolean>>;
  readonly values: Partial<Record<ValueName, string>>;
  readonly operands: string[];
}

/**
 * Options may stand anywhere until `--`. `--version` and `--help` end the reading: what follows them
 * is not checked. Throws (usage) for an option that is unknown, ambiguous, lacks its value or has
 * one it does not take.
 */
export function parseOptions(argv: readonly string[]): ParsedOptions {
  const action = COMMAND_TABLE.find(({ name, isWord }) => isWord && name === argv[0])?.action;
  const parsed: MutableOptions = { flags: {}, values: {}, operands: [], action };
  const remaining: Remaining = [...argv];
  for (let word = remaining.shift(); word !== undefined; word = remaining.shift()) {
    if (word === '--') {
      parsed.operands.push(...remaining);
      break;
    }
    const entry = takeOption(word, remaining, parsed);
    if (entry === undefined) parsed.operands.push(word);
    else if ('stops' in entry) break;
  }
  const { flags, values, operands } = parsed;
  return { flags, values, operands };
}

/** Records the option that `word` holds, with its value; undefined if it holds none. */
function takeOption(
  word: string,
  remaining: Remaining,
  parsed: MutableOptions,
): OptionEntry | undefined {
  if (word.startsWith('--')) return takeLong(word, remaining, parsed);
  if (word.startsWith('-') && word !== '-') return takeShort(word, remaining, parsed);
  return undefined;
}

function takeLong(word: string, remaining: Remaining, parsed: MutableOptions): OptionEntry {
  const equals = word.indexOf('=');
  const attached = equals < 0 ? undefined : word.slice(equals + 1);
  const key = word.slice(2, equals < 0 ? undefined : equals).replaceAll('_', '-');
  if (key === '') throw refusal('needless argument', word);
  const { entry, setTo } = findLong(key.toLowerCase(), word, parsed.action);
  if ('argument' in entry) {
    const otherwise = 'withoutValue' in entry ? entry.withoutValue : undefined;
    const value = attached ?? otherwise ?? nextWord(word, remaining, { entry, parsed });
    setValue(parsed, entry, value);
  } else {
    if (attached !== undefined) throw refusal('needless argument', word);
    parsed.flags[entry.name] = setTo;
  }
  return entry;
}

/** `-v`, `-bFILE`, `-b FILE`, `-vdb FILE`; an unknown letter may abbreviate a long option. */
function takeShort(word: string, remaining: Remaining, parsed: MutableOptions): OptionEntry {
  const letter = String.fromCodePoint(word.codePointAt(1) ?? 0);
  const attached = word.slice(1 + letter.length);
  const { entry, setTo } = findShort(letter) ?? findLong(letter, word, parsed.action);
  if ('argument' in entry) {
    const value = attached === '' ? nextWord(word, remaining, { entry, parsed }) : attached;
    setValue(parsed, entry, value);
    return entry;
  }
  if (attached.startsWith('=')) throw refusal('needless argument', word);
  const more = attached.replace(/^-+/, '');
  if (more !== '') remaining.unshift(`-${more}`);
  parsed.flags[entry.name] = setTo;
  return entry;
}

type ValueEntry = Extract<OptionEntry, { readonly argument: string }>;

function setValue({ values }: MutableOptions, entry: ValueEntry, value: string): void {
  const before = 'repeatable' in entry ? values[entry.name] : undefined;
  values[entry.name] = before === undefined ? value : `${before},${value}`;
}

function nextWord(
  option: string,
  remaining: Remaining,
  { entry, parsed }: { readonly entry: ValueEntry; readonly parsed: MutableOptions },
): string {
  const word = remaining.shift();
  // A file of that name can be written ./--help.
  if (word !== undefined && word !== '--help') return word;
  const { actions, argument, meanings }: OptionSpec = entry;
  const action = parsed.action ?? (actions.includes('sync') ? 'sync' : actions[0]);
  const meant = action && meanings?.[action]?.argument;
  const help = usageHint(action && commandOf(action));
  throw refusal('missing argument', option, `Write ${option} ${meant ?? argument}. ${help}`);
}

const LONG_NAMES: readonly LongName[] = OPTION_TABLE.flatMap((entry): LongName[] => {
  const plain = { text: entry.name, entry, setTo: true };
  return 'negatable' in entry
    ? [plain, { text: `no-${entry.name}`, entry, setTo: false }]
    : [plain];
});

function findShort(letter: string): LongName | undefined {
  return LONG_NAMES.find(({ entry, setTo }) => setTo && 'short' in entry && entry.short === letter);
}

/** The option that `key` names in full or abbreviates; `word` is how the error cites it. */
function findLong(key: string, word: string, action: Action | undefined): LongName {
  const exact = LONG_NAMES.find(({ text }) => text === key);
  if (exact !== undefined && !(action === undefined && isTaken(exact))) return exact;
  const suiting = LONG_NAMES.filter(({ text }) => abbreviates(key, text));
  const own = suiting.filter(({ entry }) => action !== undefined && takes(entry, action));
  // One that only other commands have is refused later, with their names.
  const candidates = own.length > 0 ? own : suiting;
  for (const tier of ['original', 'ours', 'later'] as const) {
    const names = candidates.filter(({ entry }) => entry.from === tier);
    const [shortest, ...others] = names.sort((a, b) => a.text.length - b.text.length);
    if (shortest === undefined) continue;
    if (others.every(({ text }) => text.startsWith(shortest.text))) return shortest;
    const all = names.map(({ text }) => `--${text}`).sort();
    throw refusal('ambiguous option', word, `It could be ${listed(all)}.`);
  }
  const known = LONG_NAMES.filter(({ entry }) => action === undefined || takes(entry, action));
  const meant = nearest(
    key,
    known.map(({ text }) => text),
  );
  const help = action && `"lvmsync help ${commandOf(action)?.name}" lists its options.`;
  throw refusal('invalid option', word, meant === undefined ? help : `Did you mean --${meant}?`);
}

/** Before it came, its whole name stood for an option of the Ruby lvmsync, which a script may have cut short. */
function isTaken({ text: name, entry }: LongName): boolean {
  const isOriginal = (one: LongName): boolean => one.entry.from === 'original';
  if (entry.from !== 'later') return false;
  return LONG_NAMES.some((one) => isOriginal(one) && abbreviates(name, one.text));
}

function takes({ actions }: OptionEntry, action: Action): boolean {
  return (actions as readonly Action[]).includes(action);
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}

/** Each part between hyphens may be cut short on its own: `d-s` stands for `data-source`. */
function abbreviates(key: string, name: string): boolean {
  const cut = key.split('-');
  const parts = name.split('-');
  return cut.every((part, index) => {
    const mayBeEmpty = index > 0 && index === cut.length - 1;
    return (part !== '' || mayBeEmpty) && (parts[index]?.startsWith(part) ?? false);
  });
}

function refusal(
  reason: string,
  word: string,
  hint = '"lvmsync help COMMAND" lists the options of a command.',
): LvmsyncError {
  return new LvmsyncError('usage', `${reason}: ${word}`, { hint });
}
