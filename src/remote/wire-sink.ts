/** The path of groups for a peer: as they are, or compressed from when that is seen to help. */

import type { Slab } from '../device/block-device.js';
import type { Operations } from '../host/native.js';
import type { GroupSink } from '../pipeline/dump.js';
import type { ChangeWriter } from '../stream/change-writer.js';
import { shrinks } from '../stream/lz4.js';
import { AutoCompression } from './auto-compression.js';

/** Looked at of a group that was sent, to see whether its like shrink. Bytes, at most. */
const SAMPLE_PIECES = 16;
const SAMPLE_PIECE = 4096;

/** Groups after which data that did not shrink are looked at again. */
const GROUPS_BETWEEN_SAMPLES = 32;

/** Changes over once, after the link was seen to hold the run up, to a receiver that knows how. */
export class AutoSink implements GroupSink {
  readonly #writer: ChangeWriter;
  readonly #peerReadsLz4: () => boolean;
  readonly #onChange: () => void;
  readonly #auto = new AutoCompression();
  #groupsToWait = 0;

  constructor(
    writer: ChangeWriter,
    peer: { readonly readsLz4: () => boolean; readonly onChange: () => void },
  ) {
    this.#writer = writer;
    this.#peerReadsLz4 = peer.readsLz4;
    this.#onChange = peer.onChange;
  }

  async writeGroup(slab: Slab, operations: Operations): Promise<void> {
    const sent = this.#writer.totals().bytes;
    await this.#auto.measure(async () => {
      await this.#writer.writeGroup(slab, operations);
      return this.#writer.totals().bytes - sent;
    });
    if (await this.#wouldHelp(slab, operations)) {
      await this.#writer.compressFromHere();
      this.#onChange();
    }
  }

  async #wouldHelp(slab: Slab, operations: Operations): Promise<boolean> {
    if (this.#writer.compresses || this.#groupsToWait-- > 0) return false;
    if (!this.#auto.linkIsBottleneck || !this.#peerReadsLz4()) {
      this.#groupsToWait = 0;
      return false;
    }
    this.#groupsToWait = GROUPS_BETWEEN_SAMPLES;
    return shrinks(sampleOf(slab, operations));
  }
}

/** Pieces from all over the group. */
function sampleOf(slab: Slab, operations: Operations): Uint8Array {
  const count = operations.length / 3;
  const step = Math.max(1, Math.floor(count / SAMPLE_PIECES));
  const pieces: Uint8Array[] = [];
  for (let i = 0; i < count && pieces.length < SAMPLE_PIECES; i += step) {
    const length = Math.min(operations[3 * i + 1] ?? 0, SAMPLE_PIECE);
    pieces.push(new Uint8Array(slab, operations[3 * i + 2] ?? 0, length));
  }
  return Buffer.concat(pieces);
}
