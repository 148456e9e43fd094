/**
 * LVM's text format, as vgcfgbackup writes it and libdevmapper's config parser reads it: sections in
 * braces, `key = value`, values that are strings, numbers or lists, comments from # to the line's
 * end. Text in, a tree out; time is linear in the text.
 */

import { LvmsyncError } from '../base/errors.js';

/** An integer is a `number` where that is exact and a `bigint` beyond 2^53 - 1. */
export type ConfigValue = string | number | bigint | readonly ConfigValue[];

export interface ConfigSection {
  readonly sections: ReadonlyMap<string, ConfigSection>;
  readonly values: ReadonlyMap<string, ConfigValue>;
}

/** The text is not LVM's format, or a value is not of the kind that was asked for. */
export class LvmConfigError extends LvmsyncError {
  /** 1-based; undefined when a value was asked for in a kind it does not have. */
  readonly line: number | undefined;

  constructor(reason: string, line?: number) {
    super('sourceUnfit', `LVM metadata${line === undefined ? '' : `, line ${line}`}: ${reason}`);
    this.name = 'LvmConfigError';
    this.line = line;
  }
}

/** Sections and lists nested deeper than this are refused; LVM itself uses five levels. */
const MAX_DEPTH = 64;

export function parseLvmConfig(text: string): ConfigSection {
  const cursor = new Cursor(text);
  const root = parseEntries(cursor, 0);
  if (!cursor.atEnd()) throw cursor.error('"}" without a section');
  return root;
}

/** The section under `root` along `path`; undefined if any part is missing. */
export function findSection(
  root: ConfigSection,
  ...path: readonly string[]
): ConfigSection | undefined {
  return path.reduce<ConfigSection | undefined>((at, key) => at?.sections.get(key), root);
}

/** The string at `key`; undefined if there is none. Throws LvmConfigError on another kind. */
export function findString(section: ConfigSection, key: string): string | undefined {
  const value = section.values.get(key);
  if (value === undefined || typeof value === 'string') return value;
  throw new LvmConfigError(`${key} is not a string`);
}

/** The integer at `key`; undefined if there is none. Throws on another kind and beyond 2^53 - 1. */
export function findInteger(section: ConfigSection, key: string): number | undefined {
  const value = section.values.get(key);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new LvmConfigError(`${key} is not an integer of at most 53 bits`);
}

/** The strings of the list at `key`, or the one that stands there alone; none if there is none. */
export function findTexts(section: ConfigSection, key: string): readonly string[] {
  const value = section.values.get(key);
  const items = Array.isArray(value) ? value : [value];
  return items.filter((item) => typeof item === 'string');
}

/** Entries up to the closing brace, which is left, or the end of the text. */
function parseEntries(cursor: Cursor, depth: number): ConfigSection {
  if (depth > MAX_DEPTH) throw cursor.error('sections are nested too deeply');
  const sections = new Map<string, ConfigSection>();
  const values = new Map<string, ConfigValue>();
  for (cursor.skipBlank(); !cursor.atEnd() && cursor.peek() !== '}'; cursor.skipBlank()) {
    const key = parseKey(cursor);
    if (sections.has(key) || values.has(key))
      throw cursor.error(`${JSON.stringify(key)} occurs twice`);
    cursor.skipBlank();
    if (cursor.take('{')) {
      sections.set(key, parseEntries(cursor, depth + 1));
      if (!cursor.take('}')) throw cursor.error(`section ${JSON.stringify(key)} has no end`);
    } else if (cursor.take('=')) {
      values.set(key, parseValue(cursor, depth));
    } else {
      throw cursor.error(`"=" or "{" is missing after ${JSON.stringify(key)}`);
    }
  }
  return { sections, values };
}

const KEY = /[^\s#={}[\]",]+/y;

function parseKey(cursor: Cursor): string {
  const key = cursor.peek() === '"' ? parseString(cursor) : cursor.match(KEY);
  if (key === undefined) throw cursor.error('a name is missing');
  return key;
}

function parseValue(cursor: Cursor, depth: number): ConfigValue {
  cursor.skipBlank();
  if (cursor.peek() === '"') return parseString(cursor);
  if (cursor.take('[')) return parseList(cursor, depth + 1);
  return parseNumber(cursor);
}

function parseList(cursor: Cursor, depth: number): ConfigValue[] {
  if (depth > MAX_DEPTH) throw cursor.error('lists are nested too deeply');
  const items: ConfigValue[] = [];
  for (cursor.skipBlank(); !cursor.take(']'); cursor.skipBlank()) {
    if (items.length > 0 && !cursor.take(',')) throw cursor.error('"," or "]" is missing');
    items.push(parseValue(cursor, depth));
  }
  return items;
}

const NUMBER = /[+-]?(?:\d+(\.\d*)?|\.\d+)(?![^\s#,\]}])/y;

function parseNumber(cursor: Cursor): number | bigint {
  const text = cursor.match(NUMBER);
  if (text === undefined) throw cursor.error('a value is missing or of an unknown form');
  const value = Number(text);
  if (!Number.isFinite(value)) throw cursor.error('a number is too large');
  if (text.includes('.') || Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  return BigInt(text.replace(/^\+/, ''));
}

/** A backslash stands before `"` and `\` only; before anything else it is itself (dm_unescape). */
function parseString(cursor: Cursor): string {
  const raw = cursor.takeQuoted();
  if (raw === undefined) throw cursor.error('a string has no end');
  return raw.includes('\\') ? raw.replace(/\\(["\\])/g, '$1') : raw;
}

const TAB = 0x09;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const HASH = 0x23;
const BACKSLASH = 0x5c;

/** A position in the text. */
class Cursor {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  peek(): string | undefined {
    return this.#text[this.#at];
  }

  take(symbol: string): boolean {
    if (this.peek() !== symbol) return false;
    this.#at += 1;
    return true;
  }

  /** The match of the sticky `pattern` here, consumed. */
  match(pattern: RegExp): string | undefined {
    const start = this.#at;
    pattern.lastIndex = start;
    if (!pattern.test(this.#text)) return undefined;
    this.#at = pattern.lastIndex;
    return this.#text.slice(start, this.#at);
  }

  /** White space and comments. Most of the text is this, so no string is made of it. */
  skipBlank(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code === HASH) {
        const end = this.#text.indexOf('\n', this.#at);
        this.#at = end < 0 ? this.#text.length : end;
      } else if (code === SPACE || (code >= TAB && code <= CARRIAGE_RETURN)) {
        this.#at += 1;
      } else {
        return;
      }
    }
  }

  /** The inside of a double-quoted string, escapes still in it; undefined if it has no end. */
  takeQuoted(): string | undefined {
    const start = this.#at + 1;
    for (let end = start; end < this.#text.length; end += 1) {
      const code = this.#text.charCodeAt(end);
      if (code === QUOTE) {
        this.#at = end + 1;
        return this.#text.slice(start, end);
      }
      if (code === BACKSLASH) end += 1;
    }
    return undefined;
  }

  error(reason: string): LvmConfigError {
    const before = this.#text.slice(0, this.#at);
    return new LvmConfigError(reason, before.split('\n').length);
  }
}
