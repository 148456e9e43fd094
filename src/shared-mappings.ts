/** What `<def>` defines: stretches of mappings that devices share, by name. Pure. */

import { MappingRuns } from './mapping-runs.js';
import { xmlName } from './xml-bytes.js';
import type { XmlTags } from './xml-tags.js';

const NAME = xmlName('name');
const REF = xmlName('ref');
const DEF = xmlName('def');
const LONGEST_NAME = 64;

export function isRef(tags: XmlTags): boolean {
  return tags.isNamed(REF);
}

export function isDef(tags: XmlTags): boolean {
  return tags.isNamed(DEF);
}

/**
 * What a `<def>` refers to is copied into it. So a `<ref>` is one step whatever the nesting, a cycle
 * cannot be (what is not whole is not defined), and one limit bounds both time and memory.
 * Whatever cannot be throws LvmsyncError (pool).
 */
export class SharedMappings {
  readonly #tags: XmlTags;
  readonly #most: number;
  readonly #defined = new Map<string, Float64Array>();
  #count = 0;
  #openName = '';
  #open: MappingRuns;

  /** Keeps at most `most` mappings, of 24 bytes each; a `<def>` counts as one itself. */
  constructor(tags: XmlTags, most: number) {
    this.#tags = tags;
    this.#most = most;
    this.#open = new MappingRuns(tags);
  }

  /** The tag found last is a `<def>`; `end` must follow. */
  begin(): void {
    this.#openName = this.#readName();
    if (this.#defined.has(this.#openName)) throw this.#tags.refuse('two <def> have the same name');
    this.#open = new MappingRuns(this.#tags);
    this.#countUp(1);
  }

  /** Takes the mapping or `<ref>` found last into the open `<def>`; false if it is neither. */
  appendTag(): boolean {
    if (!isRef(this.#tags)) {
      this.#countUp(1);
      return this.#open.appendTag();
    }
    const runs = this.referredTo();
    this.#countUp(runs.length / 3);
    for (let at = 0; at < runs.length; at += 3) {
      this.#open.append(runs[at] ?? 0, runs[at + 1] ?? 0, runs[at + 2] ?? 0);
    }
    return true;
  }

  end(): void {
    this.#defined.set(this.#openName, this.#open.take());
  }

  /** Triples of the mappings for which the `<ref>` found last stands; not to be changed. */
  referredTo(): Float64Array {
    const runs = this.#defined.get(this.#readName());
    if (runs === undefined) throw this.#tags.refuse('a <ref> names no <def> before it');
    return runs;
  }

  #countUp(mappings: number): void {
    this.#count += mappings;
    if (this.#count > this.#most) {
      throw this.#tags.refuse('its shared mappings (<def>) are more than fit in memory');
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
