/**
 * argv into options and operands, by the grammar of Ruby's optparse, so that what a script wrote for
 * the Ruby lvmsync means the same here. It knows words only; what they ask for is in parse.ts.
 */

import { LvmsyncError } from '../base/errors.js';
import { type FlagName, OPTION_TABLE, type OptionEntry, type ValueName } from './option-table.js';

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
  const parsed: MutableOptions = { flags: {}, values: {}, operands: [] };
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
  return parsed;
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
  const { entry, setTo } = findLong(key.toLowerCase(), word);
  if ('argument' in entry) {
    const otherwise = 'withoutValue' in entry ? entry.withoutValue : undefined;
    setValue(parsed, entry, attached ?? otherwise ?? nextWord(word, remaining));
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
  const { entry, setTo } = findShort(letter) ?? findLong(letter, word);
  if ('argument' in entry) {
    setValue(parsed, entry, attached === '' ? nextWord(word, remaining) : attached);
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

function nextWord(option: string, remaining: Remaining): string {
  const word = remaining.shift();
  if (word === undefined) throw refusal('missing argument', option);
  return word;
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
function findLong(key: string, word: string): LongName {
  const exact = LONG_NAMES.find(({ text }) => text === key);
  if (exact !== undefined) return exact;
  for (const tier of ['original', 'ours'] as const) {
    const names = LONG_NAMES.filter(
      ({ text, entry }) => entry.from === tier && abbreviates(key, text),
    );
    const [shortest, ...others] = names.sort((a, b) => a.text.length - b.text.length);
    if (shortest === undefined) continue;
    if (others.every(({ text }) => text.startsWith(shortest.text))) return shortest;
    throw refusal('ambiguous option', word);
  }
  throw refusal('invalid option', word);
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

function refusal(reason: string, word: string): LvmsyncError {
  return new LvmsyncError('usage', `${reason}: ${word}`, {
    hint: '"lvmsync --help" lists every option.',
  });
}
