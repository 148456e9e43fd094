/**
 * The part that a link of a chain counts on. The snapback of a further attempt saves only what those before it have
 * not saved, so it is of use only together with them: it names the one before it, how much of it was there,
 * and a hash over all that it counts on. Without that a file that lost its end would look like that of a run
 * that was cut off there. docs/format.md has the attributes.
 */

import { createHash } from 'node:crypto';
import { LvmsyncError } from '../base/errors.js';
import type { Hello, HelloAttributes } from './control-frame.js';

export interface Counted {
  /** The id of the link that is counted on, in hexadecimal. */
  readonly streamId: string;
  /** The length of its file, from the beginning to the end of its last group. */
  readonly bytes: number;
  /** Over these groups and all that this link counts on itself. */
  readonly hash: string;
}

/** As messages name who counts on it. */
export interface CountedBy extends Counted {
  readonly by: string;
}

/** How far a file was read, to the end of a group. */
export interface Mark {
  readonly bytes: number;
  /** XXH3-128 over the hashes of the groups so far, in hexadecimal. */
  readonly digest: string;
}

/** To count on what a link of that HELLO holds up to the mark. */
export function countOn({ streamId, attributes }: Hello, { bytes, digest }: Mark): Counted {
  const id = hex(streamId);
  const further = attributes.countedHash ?? '-';
  const text = `${id} ${bytes} ${digest} ${further}`;
  return { streamId: id, bytes, hash: createHash('sha256').update(text).digest('hex') };
}

export function countedAttributes(counted: Counted | undefined): HelloAttributes {
  if (counted === undefined) return {};
  const { streamId, bytes, hash } = counted;
  return { countedLink: streamId, countedBytes: String(bytes), countedHash: hash };
}

/** Undefined for a link that counts on none; throws (streamCorrupt) where it does not say all of it. */
export function countedIn({ attributes }: Hello): Counted | undefined {
  const { countedLink, countedBytes, countedHash } = attributes;
  const all = [countedLink, countedBytes, countedHash];
  if (all.every((one) => one === undefined)) return undefined;
  const known =
    /^[0-9a-f]{32}$/.test(countedLink ?? '') &&
    /^\d{1,15}$/.test(countedBytes ?? '') &&
    /^[0-9a-f]{64}$/.test(countedHash ?? '');
  if (!known || countedLink === undefined || countedHash === undefined) {
    throw new LvmsyncError(
      'streamCorrupt',
      'the reference to the snapback that it needs cannot be read',
    );
  }
  return { streamId: countedLink, bytes: Number(countedBytes), hash: countedHash };
}

/** Watches a link while it is read, and checks whether all is there that others count on. */
export class CountedParts {
  readonly #hello: Hello;
  readonly #wanted: readonly CountedBy[];
  readonly #found = new Set<CountedBy>();

  constructor(hello: Hello, countedBy: readonly CountedBy[]) {
    this.#hello = hello;
    const id = hex(hello.streamId);
    this.#wanted = countedBy.filter(({ streamId }) => streamId === id);
  }

  /** To be called before the first group, and after each. */
  see(mark: Mark): void {
    for (const one of this.#wanted) {
      if (one.bytes !== mark.bytes) continue;
      if (one.hash === countOn(this.#hello, mark).hash) this.#found.add(one);
    }
  }

  /** At the end of the file. `tornTail`: why it ends there, if it does not end in its END. */
  fault(path: string, tornTail: LvmsyncError | undefined): LvmsyncError | undefined {
    const lost = this.#wanted.find((one) => !this.#found.has(one));
    if (lost === undefined) return undefined;
    const { by, bytes } = lost;
    const what = tornTail?.message ?? `${path}: it has changed`;
    const message = `${what}, but ${by} needs its first ${bytes} bytes`;
    const hint = 'Their runs can only be undone with both files: restore that file from a backup.';
    return new LvmsyncError(tornTail?.code ?? 'streamCorrupt', message, { hint, cause: tornTail });
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
