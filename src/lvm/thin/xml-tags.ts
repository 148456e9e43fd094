/**
 * The tags of the XML that the thin tools print, found as its bytes arrive. Knows as much of XML as
 * those tools write and refuses the rest: no document type, entity, CDATA or text. Pure.
 */

import { LvmsyncError } from '../../base/errors.js';
import {
  AMPERSAND,
  BANG,
  BLANK,
  CLASS,
  DIGIT_0,
  DIGIT_9,
  DOUBLE_QUOTE,
  EQUALS,
  GREATER,
  LESS,
  NAME,
  NUL,
  QUESTION,
  SINGLE_QUOTE,
  SLASH,
} from './xml-bytes.js';

export type TagKind = 'open' | 'close' | 'empty';

/** Bytes from `<` to `>`; genuine tags take less than 200. */
const LONGEST_TAG = 4096;
const MOST_ATTRIBUTES = 32;
/** Per attribute: where its name and its value begin and end. */
const MARKS = 4;

/** Digits that a double always holds exactly. */
const MOST_DIGITS = 15;
const INCOMPLETE = -1;

/**
 * `push` bytes, then call `next` until it is false; in between, the other members speak of the tag
 * found last. Nothing is allocated per tag. What cannot be read throws LvmsyncError (pool).
 */
export class XmlTags {
  readonly #tool: string;
  /** The bytes not consumed yet, and a NUL behind them, at which every inner loop stops. */
  #bytes = new Uint8Array(1);
  #end = 0;
  #at = 0;
  #bytesDropped = 0;
  #seenMarkup = false;
  #kind: TagKind = 'open';
  #nameStart = 0;
  #nameEnd = 0;
  readonly #marks = new Int32Array(MOST_ATTRIBUTES * MARKS);
  #attributes = 0;

  /** `tool` is the program whose output this is, for messages. */
  constructor(tool: string) {
    this.#tool = tool;
  }

  get kind(): TagKind {
    return this.#kind;
  }

  /** Bytes that belong to no whole tag yet. */
  get bytesLeft(): number {
    return this.#end - this.#at;
  }

  /** A copy is kept. To be called only when `next` has said false. */
  push(bytes: Uint8Array): void {
    const left = this.#end - this.#at;
    const needed = left + bytes.length + 1;
    const target = needed > this.#bytes.length ? new Uint8Array(needed) : this.#bytes;
    target.set(this.#bytes.subarray(this.#at, this.#end));
    target.set(bytes, left);
    target[needed - 1] = NUL;
    this.#bytes = target;
    this.#bytesDropped += this.#at;
    this.#at = 0;
    this.#end = needed - 1;
  }

  /** Goes on to the next tag; false where it is not whole yet. */
  next(): boolean {
    for (;;) {
      this.#at = this.#skipBlanks(this.#at);
      const start = this.#at;
      if (start === this.#end) return false;
      if (this.#byte(start) !== LESS) throw this.refuse('there is text between the tags');
      const second = this.#byte(start + 1);
      const isTag = second !== BANG && second !== QUESTION;
      const after = isTag ? this.#readTag(start + 1) : this.#skipMarkup(start);
      if (after === INCOMPLETE) {
        if (this.#end - start > LONGEST_TAG) throw this.refuse('a tag is too long');
        return false;
      }
      this.#at = after;
      this.#seenMarkup = true;
      if (isTag) return true;
    }
  }

  /**
   * For who knows a form in which much is written: `read` gets all bytes, at their end a NUL, and where
   * those begin that are not consumed; it returns how far it came, a place between tags. To be called
   * when `next` has said true; the tag found last must not be asked about afterwards.
   */
  readAhead(read: (bytes: Uint8Array, from: number) => number): void {
    this.#at = read(this.#bytes, this.#at);
  }

  isNamed(name: Uint8Array): boolean {
    return this.#matches(this.#nameStart, this.#nameEnd, name);
  }

  /** The attribute, a whole number of 0 to `most` (<= 2^49). Throws where it is missing or not one. */
  number(name: Uint8Array, most: number): number {
    const mark = this.#find(name);
    const end = this.#marks[mark + 3] ?? 0;
    let at = this.#marks[mark + 2] ?? 0;
    let digits = end - at;
    if (digits < 1 || digits > MOST_DIGITS) throw this.#unfit(name);
    let value = 0;
    for (; digits > 0; digits--) {
      const byte = this.#byte(at++);
      if (byte < DIGIT_0 || byte > DIGIT_9) throw this.#unfit(name);
      value = value * 10 + (byte - DIGIT_0);
    }
    if (value > most) throw this.#unfit(name);
    return value;
  }

  /** The attribute as it stands there, one character a byte. Throws where it is missing. */
  text(name: Uint8Array): string {
    const mark = this.#find(name);
    const value = this.#bytes.subarray(this.#marks[mark + 2], this.#marks[mark + 3]);
    return Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1');
  }

  /** The error for output that cannot be trusted; nothing taken from it must be used. */
  refuse(detail: string): LvmsyncError {
    const position = this.#bytesDropped + this.#at;
    return new LvmsyncError(
      'pool',
      `${this.#tool}: its output cannot be used: ${detail} (at byte ${position})`,
    );
  }

  /** The name of the tag, for a message. */
  shownName(): string {
    const shown = this.#bytes.subarray(
      this.#nameStart,
      Math.min(this.#nameEnd, this.#nameStart + 40),
    );
    return `${this.#kind === 'close' ? '/' : ''}${Buffer.from(shown).toString('latin1')}`;
  }

  #unfit(name: Uint8Array): LvmsyncError {
    const attribute = Buffer.from(name).toString('latin1');
    return this.refuse(`'${attribute}' of <${this.shownName()}> is not a valid number`);
  }

  #byte(at: number): number {
    return this.#bytes[at] ?? NUL;
  }

  #skipBlanks(from: number): number {
    let at = from;
    while (CLASS[this.#byte(at)] === BLANK) at++;
    return at;
  }

  #skipName(from: number): number {
    let at = from;
    while (CLASS[this.#byte(at)] === NAME) at++;
    return at;
  }

  /** Reads from behind `<`; returns where to go on, or INCOMPLETE. */
  #readTag(from: number): number {
    const closes = this.#byte(from) === SLASH;
    this.#kind = closes ? 'close' : 'open';
    this.#attributes = 0;
    this.#nameStart = closes ? from + 1 : from;
    this.#nameEnd = this.#skipName(this.#nameStart);
    let at = this.#nameEnd;
    for (;;) {
      const next = this.#skipBlanks(at);
      const byte = this.#byte(next);
      if (byte === GREATER) return this.#named(next + 1);
      if (byte === SLASH && !closes) {
        if (next + 1 === this.#end) return INCOMPLETE;
        if (this.#byte(next + 1) !== GREATER) throw this.#malformed();
        this.#kind = 'empty';
        return this.#named(next + 2);
      }
      if (next === this.#end) return INCOMPLETE;
      if (next === at || closes) throw this.#malformed();
      at = this.#readAttribute(next);
      if (at === INCOMPLETE) return INCOMPLETE;
    }
  }

  #named(after: number): number {
    if (this.#nameEnd === this.#nameStart) throw this.#malformed();
    return after;
  }

  #readAttribute(nameStart: number): number {
    const nameEnd = this.#skipName(nameStart);
    const equals = this.#skipBlanks(nameEnd);
    const open = this.#byte(equals) === EQUALS ? this.#skipBlanks(equals + 1) : equals;
    if (open === this.#end) return INCOMPLETE;
    const quote = this.#byte(open);
    const quoted = quote === DOUBLE_QUOTE || quote === SINGLE_QUOTE;
    if (nameEnd === nameStart || open === equals || !quoted) throw this.#malformed();
    const valueEnd = this.#skipValue(open + 1, quote);
    if (valueEnd === this.#end) return INCOMPLETE;
    if (this.#attributes === MOST_ATTRIBUTES) throw this.refuse('a tag has too many attributes');
    const mark = this.#attributes++ * MARKS;
    this.#marks[mark] = nameStart;
    this.#marks[mark + 1] = nameEnd;
    this.#marks[mark + 2] = open + 1;
    this.#marks[mark + 3] = valueEnd;
    return valueEnd + 1;
  }

  /** Where the quote that ends the value is, or the end of the bytes. */
  #skipValue(from: number, quote: number): number {
    let at = from;
    for (;;) {
      const byte = this.#byte(at);
      if (byte === quote) return at;
      if (byte === AMPERSAND) throw this.refuse('it refers to an entity');
      if (byte === LESS) throw this.#malformed();
      if (byte === NUL) {
        if (at === this.#end) return at;
        throw this.#malformed();
      }
      at++;
    }
  }

  /** Skips a comment, or the declaration at the very start. */
  #skipMarkup(start: number): number {
    const isComment = this.#byte(start + 1) === BANG;
    const opening = isComment ? '<!--' : '<?xml';
    for (let index = 2; index < opening.length; index++) {
      if (start + index === this.#end) return INCOMPLETE;
      if (this.#byte(start + index) !== opening.charCodeAt(index)) {
        throw this.refuse('it holds a document type, CDATA or instructions');
      }
    }
    if (!isComment && this.#seenMarkup)
      throw this.refuse('its XML declaration is not at the start');
    const closing = isComment ? '-->' : '?>';
    const rest = this.#bytes.subarray(start + opening.length, this.#end);
    const length = Buffer.from(rest.buffer, rest.byteOffset, rest.length).indexOf(closing);
    return length < 0 ? INCOMPLETE : start + opening.length + length + closing.length;
  }

  /** The mark of the attribute. Throws unless the tag has it exactly once. */
  #find(name: Uint8Array): number {
    let found = INCOMPLETE;
    for (let index = 0; index < this.#attributes; index++) {
      const mark = index * MARKS;
      if (!this.#matches(this.#marks[mark] ?? 0, this.#marks[mark + 1] ?? 0, name)) continue;
      if (found !== INCOMPLETE) throw this.#malformed();
      found = mark;
    }
    if (found !== INCOMPLETE) return found;
    const attribute = Buffer.from(name).toString('latin1');
    throw this.refuse(`<${this.shownName()}> has no '${attribute}'`);
  }

  #matches(from: number, to: number, name: Uint8Array): boolean {
    if (to - from !== name.length) return false;
    for (let index = 0; index < name.length; index++) {
      if (this.#bytes[from + index] !== name[index]) return false;
    }
    return true;
  }

  #malformed(): LvmsyncError {
    return this.refuse('a tag is malformed');
  }
}
