/** The content of `<def>`: stretches of mappings that devices share, by name. Pure. */

import { MappingRuns } from './mapping-runs.js';
import { xmlName } from './xml-bytes.js';
import type { XmlTags } from './xml-tags.js';

const NAME = xmlName('name');
const REF = xmlName('ref');
const DEF = xmlName('def');
const LONGEST_NAME = 64;
/** A tree of metadata has a dozen levels at most. */
const DEEPEST = 500;

/** The least cost of a list, however short it is, in mappings of 24 bytes. */
const LEAST_COST = 16;

/** No `<def>` can have it. */
const REMAINDER = '';

export function isRef(tags: XmlTags): boolean {
  return tags.isNamed(REF);
}

export function isDef(tags: XmlTags): boolean {
  return tags.isNamed(DEF);
}

/** Triples, or the name of a `<def>` that had not been read. */
type Part = Float64Array | string;

/**
 * The mappings that a `<def>` refers to are copied into it. So a `<ref>` is one step whatever the nesting, and one
 * limit bounds both time and memory. A `<ref>` may come before its `<def>`, which no thin_dump so far
 * does: what holds one is kept in parts, and put together when all has been read.
 * Whatever cannot be throws LvmsyncError (pool).
 */
export class SharedMappings {
  readonly #tags: XmlTags;
  readonly #most: number;
  readonly #defined = new Map<string, Float64Array>();
  readonly #deferred = new Map<string, readonly Part[]>();
  readonly #resolving = new Set<string>();
  #count = 0;
  #openName = '';
  #open: MappingRuns;
  #openParts: Part[] = [];

  /** Keeps at most `most` mappings, of 24 bytes each; a `<def>` counts as some itself. */
  constructor(tags: XmlTags, most: number) {
    this.#tags = tags;
    this.#most = most;
    this.#open = new MappingRuns(tags);
  }

  /** The tag found last is a `<def>`; `end` must follow. */
  begin(): void {
    const name = this.#readName();
    if (this.#defined.has(name) || this.#deferred.has(name)) {
      throw this.#tags.refuse('two <def> have the same name');
    }
    this.#begin(name);
  }

  /** From here on mappings of a device, up to its end, are to be kept as if it were a `<def>`. Once only. */
  beginRemainder(): void {
    this.#begin(REMAINDER);
  }

  /** Takes the mapping or `<ref>` found last into what is open; false if it is neither. */
  appendTag(): boolean {
    if (!isRef(this.#tags)) {
      this.#countUp(1);
      return this.#open.appendTag();
    }
    const runs = this.referredTo();
    if (runs === undefined) this.#postpone(this.#readName());
    else this.#copy(runs, this.#open);
    return true;
  }

  end(): void {
    const last = this.#open.take();
    if (this.#openParts.length === 0) this.#defined.set(this.#openName, last);
    else this.#deferred.set(this.#openName, [...this.#openParts, last]);
  }

  /**
   * Triples of the mappings for which the `<ref>` found last stands; not to be changed. Undefined:
   * what it names is not known yet.
   */
  referredTo(): Float64Array | undefined {
    return this.#defined.get(this.#readName());
  }

  /** All has been read. Returns the triples of the remainder, if there was one. */
  finish(): Float64Array | undefined {
    for (const name of [...this.#deferred.keys()]) this.#resolve(name);
    return this.#defined.get(REMAINDER);
  }

  #begin(name: string): void {
    this.#openName = name;
    this.#open = new MappingRuns(this.#tags);
    this.#openParts = [];
    this.#countUp(LEAST_COST);
  }

  #postpone(name: string): void {
    this.#countUp(LEAST_COST);
    this.#openParts.push(this.#open.take(), name);
  }

  #resolve(name: string): Float64Array {
    const known = this.#defined.get(name);
    if (known !== undefined) return known;
    const parts = this.#deferred.get(name);
    if (parts === undefined) throw this.#tags.refuse('a <ref> names an unknown <def>');
    if (this.#resolving.has(name)) throw this.#tags.refuse('a <ref> leads back into its own <def>');
    if (this.#resolving.size === DEEPEST)
      throw this.#tags.refuse('its <def> are nested too deeply');
    this.#resolving.add(name);
    const whole = new MappingRuns(this.#tags);
    for (const part of parts) {
      this.#copy(typeof part === 'string' ? this.#resolve(part) : part, whole);
    }
    this.#resolving.delete(name);
    this.#deferred.delete(name);
    const runs = whole.take();
    this.#defined.set(name, runs);
    return runs;
  }

  #copy(runs: Float64Array, into: MappingRuns): void {
    this.#countUp(runs.length / 3);
    for (let at = 0; at < runs.length; at += 3) {
      into.append(runs[at] ?? 0, runs[at + 1] ?? 0, runs[at + 2] ?? 0);
    }
  }

  #countUp(mappings: number): void {
    this.#count += mappings;
    if (this.#count > this.#most) {
      throw this.#tags.refuse('its shared mappings (<def>) do not fit in memory');
    }
  }

  #readName(): string {
    const name = this.#tags.text(NAME);
    if (name === '' || name.length > LONGEST_NAME) {
      throw this.#tags.refuse(`the name of <${this.#tags.shownName()}> is empty or too long`);
    }
    return name;
  }
}
