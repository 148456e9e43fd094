/** The values of options and the operands: what the words mean, or why they mean nothing. All throw (usage). */

import { LvmsyncError } from '../base/errors.js';
import { splitWords } from '../base/shell-words.js';
import { escapeText } from '../base/text.js';
import { type KeepRule, parseKeepRule } from '../chain/keep.js';
import { parseIoPriority } from '../host/io-priority.js';
import type { Nice, PriorityRequest } from '../host/priority.js';
import type { Argv } from '../host/subprocess.js';
import type { RunRequest } from '../run/request.js';
import type { FillRequest } from '../source/request.js';
import { type CommandSpec, usageHint } from './command-table.js';
import type { ParsedOptions } from './option-grammar.js';
import type { OptionEntry, ValueName } from './option-table.js';

const NUMBER = 'a whole number of restore points, 1 or more';
const AGE = 'an age such as 12h, 30d or 8w';

/** What each option for the rules of a chain takes. */
const KEEP_OPTIONS = [
  { name: 'keep', takes: () => true, expected: `${NUMBER}, or ${AGE}` },
  { name: 'keep-last', takes: (rule: KeepRule) => 'turns' in rule, expected: NUMBER },
  { name: 'keep-within', takes: (rule: KeepRule) => 'seconds' in rule, expected: AGE },
] as const;

/** Those of `--keep-last` and `--keep-within` are rules of `--keep` by other names. */
export function parseKeep(values: ParsedOptions['values']): readonly KeepRule[] {
  return KEEP_OPTIONS.flatMap(({ name, takes, expected }) =>
    (values[name]?.split(',') ?? []).map((word) => {
      const rule = parseKeepRule(word);
      if (rule !== undefined && takes(rule)) return rule;
      throw usage(`--${name}: expected ${expected}, saw "${escapeText(word, 80)}"`);
    }),
  );
}

/** Seconds; as `--keep-within` takes it. */
export function parseAge(name: ValueName, values: ParsedOptions['values']): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const rule = parseKeepRule(text);
  if (rule !== undefined && 'seconds' in rule) return rule.seconds;
  throw usage(`--${name}: expected ${AGE}, saw "${escapeText(text, 80)}"`);
}

/** The first that was given of these options. */
export function givenKeep(values: ParsedOptions['values']): ValueName | undefined {
  return KEEP_OPTIONS.map(({ name }) => name).find((name) => values[name] !== undefined);
}

/** As lvcreate takes it: `5G`, in units of 1024, or a share of the volume; or `auto`. */
export function parseSize(text: string | undefined): readonly string[] | 'auto' | undefined {
  if (text === undefined || text === 'auto') return text;
  const [, digits = '0', letter = '', percent = ''] =
    /^(\d{1,9}(?:\.\d{1,3})?)(?:([KMGT])(?:iB)?|(%))$/i.exec(text) ?? [];
  if (percent !== '' && /^[1-9]\d{0,2}$/.test(digits)) return ['--extents', `${digits}%ORIGIN`];
  if (letter !== '' && Number(digits) > 0) return ['--size', digits + letter.toLowerCase()];
  const bare = /^0*[1-9]\d{0,8}$/.test(text) ? ` Did you mean ${text}G or ${text}%?` : '';
  throw usage(
    `--size: expected a size such as 5G, 20%, or auto, saw "${escapeText(text, 80)}".${bare}`,
  );
}

export function hookWords(
  name: 'freeze-cmd' | 'thaw-cmd',
  { [name]: text }: ParsedOptions['values'],
): Argv | undefined {
  const [program, ...words] = text === undefined ? [] : commandWords(name, text);
  return program === undefined ? undefined : [program, ...words];
}

/** The words of a command that an option holds. */
export function commandWords(name: ValueName, text: string): readonly string[] {
  try {
    return splitWords(text);
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    throw usage(`--${name}: ${error.message}`);
  }
}

export function fillRequest({ values }: ParsedOptions): FillRequest {
  const text = values['max-cow-use'];
  if (text === undefined) return {};
  const percent = /^\d{1,3}%?$/.test(text) ? Number.parseInt(text, 10) : 0;
  if (percent >= 1 && percent <= 100) return { maxCowUse: percent };
  throw usage(
    `--max-cow-use: expected a whole percentage from 1 to 100, saw "${escapeText(text, 80)}"`,
  );
}

export function metricsRequest({ values, flags }: ParsedOptions): Pick<RunRequest, 'metrics'> {
  const { metrics } = values;
  if (metrics === undefined) return {};
  // The time of the last success would be that of a run that did nothing.
  if (flags['dry-run']) throw clash('metrics', '--dry-run');
  // So is that of the end of a cycle, beside which the options of its runs may stand.
  if (flags.end) return {};
  return { metrics };
}

export function priorityRequest({
  nice,
  ionice,
}: ParsedOptions['values']): PriorityRequest | undefined {
  if (nice === undefined && ionice === undefined) return undefined;
  return {
    ...(nice !== undefined && { nice: parseNice(nice) }),
    ...(ionice !== undefined && { io: parseIoPriority(ionice) }),
  };
}

function parseNice(text: string): Nice {
  if (text === 'idle') return text;
  const nice = /^[-+]?\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  if (nice >= -20 && nice <= 19) return nice;
  throw usage(
    `--nice: expected a whole number from -20 to 19 or "idle", saw "${escapeText(text, 80)}"`,
  );
}

const MOST_STREAMS = 16;

export function parseStreams(text = '1'): number {
  const count = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MOST_STREAMS) return count;
  throw usage(
    `--streams: expected a whole number from 1 to ${MOST_STREAMS}, saw "${escapeText(text, 80)}"`,
  );
}

const SECONDS_IN: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, min: 60, h: 3600 };

/** Seconds: Node's timers count milliseconds in 31 bits, and take more for none. */
const LONGEST_TIMER = 2_147_483;

export function parseSeconds(name: ValueName, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, digits = '0', unit = ''] = /^(\d{1,7}(?:\.\d+)?)(s|m|min|h|)$/.exec(text) ?? [];
  const seconds = Number(digits) * (SECONDS_IN[unit] ?? 0);
  if (seconds > 0 && seconds <= LONGEST_TIMER) return seconds;
  throw usage(
    `--${name}: expected a time such as 90, 90s, 5m or 1h, at most 596h, saw "${escapeText(text, 80)}"`,
  );
}

const UNITS = ['', 'K', 'M', 'G'];

export function parseRate(name: ValueName, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, digits = '0', unit = '', kind = ''] =
    /^(\d{1,12}(?:\.\d+)?)([KMG]?)(i?B|)$/i.exec(text) ?? [];
  // As rsync reads them: M and MiB are binary, MB is decimal.
  const base = kind.toUpperCase() === 'B' ? 1000 : 1024;
  const rate = Number(digits) * base ** UNITS.indexOf(unit.toUpperCase());
  if (rate >= 1) return rate;
  throw usage(
    `--${name}: expected bytes per second, such as 500K, 1.5M or 10MiB, saw "${escapeText(text, 80)}"`,
  );
}

export function takeOperand(operands: string[], name: string): string {
  const operand = operands.shift();
  if (operand === undefined) throw usage(`missing operand: ${name}`);
  if (operand === '') throw usage(`${name}: the operand is empty`);
  return operand;
}

export function refuseRest([unexpected]: readonly string[], hint?: string): void {
  if (unexpected === undefined) return;
  throw usage(`too many operands: "${escapeText(unexpected, 80)}" was not expected`, hint);
}

export function clash(name: string, other: string, hint?: string): LvmsyncError {
  return usage(`--${name} cannot be used with ${other}`, hint);
}

export function needs(name: string, needed: OptionEntry['name']): LvmsyncError {
  return usage(`--${name} needs --${needed}`);
}

export function usage(message: string, hint: string = GENERAL_HELP): LvmsyncError {
  return new LvmsyncError('usage', message, { hint });
}

const GENERAL_HELP = usageHint(undefined);

/** The same failure, pointing to the help of the command that was asked for, unless it has better advice. */
export function pointToHelp(error: unknown, command: CommandSpec | undefined): unknown {
  if (!(error instanceof LvmsyncError) || error.code !== 'usage') return error;
  if (error.hint !== undefined && error.hint !== GENERAL_HELP) return error;
  return usage(error.message, usageHint(command));
}
