/** A stream at its receiver: its form describes the sender, and what is to come. */

import type { SourceMember } from '../device/relation.js';
import type { DeviceIdentity } from '../device/topology.js';
import type { WriteRules } from '../lvm/write-rules.js';
import type { Progress } from '../run/progress.js';
import type { ChangeReader } from '../stream/change-reader.js';
import type { StreamForm } from '../stream/change-stream.js';
import { comparisonIn, DRY_RUN, type Hello, type StreamPosition } from '../stream/control-frame.js';
import { parseSize } from '../stream/copy-size.js';
import { headKindsIn } from '../stream/device-facts.js';

export const CHANGES_FILE = 'the changes file';

export class ReceivedStream {
  readonly reader: ChangeReader;
  readonly form: StreamForm;
  /** Undefined for a pipe. */
  readonly identity: DeviceIdentity | undefined;
  /** Undefined for a stream as the original writes it. */
  readonly hello: Hello | undefined;
  /** To be called when its sender is answered: from then on the work goes on without it. */
  endWatch: () => void = () => undefined;

  constructor(reader: ChangeReader, form: StreamForm, identity: DeviceIdentity | undefined) {
    this.reader = reader;
    this.form = form;
    this.identity = identity;
    this.hello = form.form === 'framed' ? form.hello : undefined;
  }

  get name(): string {
    return this.reader.name;
  }

  /** A handshake and nothing else: an old sender that found no change, or one that died at once. */
  get isEmpty(): boolean {
    return this.form.form === 'classic' && this.form.empty;
  }

  /** Its id in hexadecimal, where a sender waits for answers: those send streams of kind wire. */
  get answeredId(): string | undefined {
    const wire = this.#wire;
    return wire && Buffer.from(wire.streamId).toString('hex');
  }

  /** Where it stands among those that come with it; undefined if it comes alone. */
  get place(): StreamPosition | undefined {
    if (this.#wire === undefined) return undefined;
    const { setId, streamIndex, streamCount } = this.#wire;
    return streamCount > 1 ? { setId, streamIndex, streamCount } : undefined;
  }

  /** The id of streams that come together, in hexadecimal. */
  get set(): string | undefined {
    const { place } = this;
    return place && Buffer.from(place.setId).toString('hex');
  }

  /** Who reports the progress and the end: the sender that started us, or the program that writes into our pipe. */
  get toldBy(): Progress['toldBy'] {
    if (this.#wire !== undefined) return 'sender';
    return this.identity === undefined ? 'pipe' : undefined;
  }

  /** A sender may ask for a dry run. */
  get asksForDryRun(): boolean {
    return this.hello?.attributes.question === DRY_RUN;
  }

  /** Its sender first asks for hashes of the destination. */
  get asksForHashes(): boolean {
    return comparisonIn(this.hello?.attributes ?? {}) !== undefined;
  }

  /** Payload bytes; undefined if the stream does not state them. */
  get totalBytes(): number | undefined {
    return this.hello?.totalBytes;
  }

  /** The allowed kinds of first bytes of a copy of its source. */
  get headKinds(): readonly string[] {
    return this.hello === undefined ? [] : headKindsIn(this.hello.attributes);
  }

  /** Files that must not be written while it is read. */
  get members(): SourceMember[] {
    return this.identity === undefined ? [] : [{ identity: this.identity, role: CHANGES_FILE }];
  }

  /** Whether no place comes twice in it, as far as that is known. */
  isDisjoint({ force }: { readonly force: boolean }): boolean {
    return this.form.form === 'framed' || !(force || this.form.leftover);
  }

  /**
   * Bytes that a snapback of it takes at most; undefined where the stream does not tell. Zeros come as discards,
   * and most of them change nothing.
   */
  mostSaved({ mostData }: WriteRules): number | undefined {
    const { hello, totalBytes } = this;
    if (hello === undefined || totalBytes === undefined) return undefined;
    const zeroBytes = Math.min(parseSize(hello.attributes.zeroBytes) ?? 0, totalBytes);
    return totalBytes - zeroBytes + Math.min(zeroBytes, mostData);
  }

  get #wire(): Hello | undefined {
    return this.hello?.kind === 'wire' ? this.hello : undefined;
  }
}
