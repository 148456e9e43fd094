/** Random runs on files, for campaigns in which the power fails in the middle of them. */

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomGroups, randomShape, type Shape } from '../devices/change-shapes.js';
import type { Random } from '../random.js';
import { applyFile, syncFiles } from '../streams/file-pipelines.js';
import { classicStream, framedStream } from '../streams/stream-parts.js';
import { grownNote } from './crash-simulator.js';
import { syscalls } from './scripted-syscalls.js';

/** A run, and what its destination holds before and after it. */
export interface Undertaking {
  readonly name: string;
  readonly former: Buffer;
  readonly content: Buffer;
  readonly run: () => Promise<void>;
}

/** Their files have the same names each time: one run after the other. */
export class CrashRuns {
  readonly destination: string;
  readonly snapback: string;
  readonly #source: string;
  readonly #stream: string;
  readonly #random: Random;

  constructor(folder: string, random: Random) {
    this.destination = join(folder, 'destination');
    this.snapback = join(folder, 'snapback');
    this.#source = join(folder, 'source');
    this.#stream = join(folder, 'stream');
    this.#random = random;
  }

  /** What the undertaking needs besides its source: the destination, and no snapback yet. */
  prepare({ former }: Undertaking): void {
    writeFileSync(this.destination, former);
    rmSync(this.snapback, { force: true });
  }

  any(): Undertaking | Promise<Undertaking> {
    const kind = this.#random.below(6);
    if (kind < 2) return this.sync();
    if (kind < 3) return this.growingSync();
    return kind < 5 ? this.apply() : this.overlappingApply();
  }

  sync(): Undertaking {
    const { content, former, extents } = this.#shape();
    writeFileSync(this.#source, content);
    const { destination, snapback } = this;
    const run = (): Promise<void> =>
      syncFiles({ source: this.#source, extents, destination, snapback });
    return { name: 'local sync', former, content, run };
  }

  /** To a file that is shorter than the source. */
  growingSync(): Undertaking {
    const shape = this.#shape();
    const { extents, size } = shape;
    writeFileSync(this.#source, shape.content);
    const former = shape.former.subarray(0, this.#random.below(size));
    const content = Buffer.concat([former], size);
    for (let i = 0; i < extents.pairs.length; i += 2) {
      const [offset = 0, length = 0] = extents.pairs.subarray(i, i + 2);
      shape.content.copy(content, offset, offset, offset + length);
    }
    const { destination, snapback } = this;
    const onGrown = (grown: number): void => syscalls.note(grownNote(destination, grown));
    const run = (): Promise<void> =>
      syncFiles({ source: this.#source, extents, destination, snapback, onGrown });
    return { name: 'local sync, growing', former, content, run };
  }

  async apply(): Promise<Undertaking> {
    const shape = this.#shape();
    const { content, former, size } = shape;
    const groups = randomGroups(this.#random, shape, 6000);
    await framedStream(this.#stream, { deviceSize: size, groups });
    return { name: 'apply', former, content, run: this.#applying(true) };
  }

  /** Of a classic stream whose records lie over each other: the last one wins. */
  overlappingApply(): Undertaking {
    const random = this.#random;
    const size = 64 * 1024;
    const former = Buffer.alloc(size, random.bytes(1021));
    const content = Buffer.from(former);
    const records = Array.from({ length: 12 + random.below(30) }, () => {
      const offset = random.below(size - 1);
      const data = random.bytes(1 + random.below(Math.min(3000, size - offset)));
      data.copy(content, offset);
      return { offset, data };
    });
    writeFileSync(this.#stream, classicStream(records));
    const name = 'apply of overlapping records';
    return { name, former, content, run: this.#applying(false) };
  }

  #applying(strict: boolean): () => Promise<void> {
    const { destination, snapback } = this;
    return () => applyFile({ stream: this.#stream, destination, snapback, strict });
  }

  /** Stretches that share sectors, too many for one batch; or a few longer ones. */
  #shape(): Shape {
    const random = this.#random;
    return random.below(2) === 0
      ? randomShape(random, { size: 100_003, unit: 64, changed: 600 + random.below(600) })
      : randomShape(random, { size: 96 * 1024, unit: 2048, changed: 1 + random.below(24) });
  }
}
