/** Reads a change stream or snapback: what form it has, then its groups, each checked before it is used. */

import { fstatSync } from 'node:fs';
import { type ErrorContext, LvmsyncError } from '../base/errors.js';
import { escapeText } from '../base/text.js';
import type { Slab } from '../device/block-device.js';
import {
  isNativeError,
  type NativeFrame,
  type NativeRecordReader,
  native,
  type ReadResult,
} from '../host/native.js';
import type { Group, ReaderEnd, ReadingRules, StreamForm } from './change-stream.js';
import { HANDSHAKE } from './change-writer.js';
import {
  comparisonIn,
  decodeAbort,
  decodeEnd,
  decodeHello,
  FIRST_OPTIONAL_TYPE,
  FRAME,
  FRAME_VERSION,
  type Hello,
  OPEN_END,
  STREAM_TAG_SIZE,
} from './control-frame.js';
import type { Mark } from './counted-link.js';
import { LZ4_MAGIC } from './lz4-frame.js';
import { isLz4, Lz4Input } from './lz4-input.js';
import { handshakeHint, isDamage, StreamFaults } from './stream-faults.js';

const LONGEST_HANDSHAKE = 80;
/** Bytes of something else: they may be anybody's data. */
const SHOWN = 17;

/** The descriptor stays the caller's; whoever creates the reader closes it. */
export class ChangeReader {
  /** As messages call it. */
  readonly name: string;
  readonly #fd: number;
  readonly #native: NativeRecordReader;
  #hello: Hello | undefined;
  #counts = { groups: 0, records: 0, bytes: 0 };
  #end: ReaderEnd | undefined;
  #droppedBytes = 0;
  #mayBeUnused = false;
  #lz4: Lz4Input | undefined;
  #expected: Uint8Array | undefined;
  readonly #faults: StreamFaults;

  constructor(fd: number, name: string) {
    this.name = name;
    this.#fd = fd;
    this.#native = new native.RecordReader(fd);
    this.#faults = new StreamFaults(name, {
      position: () => this.#native.state().position,
      isFramed: () => this.#hello !== undefined,
    });
  }

  /** Throws (streamTruncated, streamCorrupt) unless it is a change stream. */
  async readForm(): Promise<StreamForm> {
    if (isLz4(await this.#call(this.#native.peek(LZ4_MAGIC.length)))) this.#decompress();
    const crlf = await this.#readHandshake();
    const first = await this.#first();
    // Only this program ends the line so, and never without a HELLO after it.
    if (first === 'none' && crlf) throw this.#faults.cut('before its first record');
    if (first !== 'control') return { form: 'classic', leftover: false, empty: first === 'none' };
    const { frame } = await this.#call(this.#native.next(new ArrayBuffer(0)));
    if (frame?.type !== FRAME.hello) throw this.#faults.corrupt('its first frame is not a HELLO');
    this.#requireVersion(frame);
    const hello = decodeHello(frame.payload);
    // Under the original's line end, a peer's HELLO was copied by an old receiver into its snapback.
    if (hello.kind === 'wire' && !crlf) return { form: 'classic', leftover: true, empty: false };
    this.#hello = hello;
    return { form: 'framed', hello };
  }

  async #readHandshake(): Promise<boolean> {
    const line = Buffer.from(await this.#call(this.#native.readLine(LONGEST_HANDSHAKE)));
    if (line.length === 0) {
      await this.#call(this.#inputEnded());
      throw new LvmsyncError('streamTruncated', `${this.name}: it is empty`);
    }
    const text = line.toString('latin1');
    if (text === `${HANDSHAKE}\n`) return false;
    if (text === `${HANDSHAKE}\r\n`) return true;
    if (HANDSHAKE.startsWith(text)) throw this.#faults.cut('inside its first line');
    const hint = handshakeHint(text, this.#fd);
    throw this.#faults.corrupt(
      `not a change stream or snapback: it begins with "${escapeText(line, SHOWN)}", not with "${HANDSHAKE}"`,
      hint === undefined ? {} : { hint },
    );
  }

  /** Known after readForm; a peer may change over later. */
  get compressed(): boolean {
    return this.#lz4 !== undefined;
  }

  /** To be called once, after readForm and before the first next. */
  begin(form: StreamForm, { mayBeUnused = false, ...rules }: ReadingRules): void {
    this.#mayBeUnused = mayBeUnused;
    if (form.form === 'framed') {
      const { streamId, deviceSize, sorted, kind } = form.hello;
      // They are sent only to a receiver that answered, so never stored.
      this.#native.beginFramed({ streamId, deviceSize, sorted, discards: kind === 'wire' });
    } else {
      const strict = rules.strict && !form.leftover;
      this.#native.beginClassic({ ...rules, strict, skipControl: form.leftover });
    }
  }

  /**
   * The next group, its payloads in the slab; undefined when the stream came to its proper end. A
   * framed group is returned only after its hash was found right.
   */
  async next(slab: Slab): Promise<Group | undefined> {
    for (;;) {
      if (this.#end !== undefined) return undefined;
      const result = await this.#nextResult(slab);
      if (result === undefined) return undefined;
      this.#droppedBytes = result.droppedBytes;
      if (result.stop === 'end') {
        await this.#call(this.#inputEnded());
        this.#finishWithoutEnd();
      }
      if (result.stop === 'frame') await this.#takeFrame(result);
      this.#counts.records += result.records;
      this.#counts.bytes += result.bytes;
      if (result.stop === 'group') this.#counts.groups++;
      if (result.operations.length > 0 || result.discards.length > 0) {
        const expected = this.#expected;
        this.#expected = undefined;
        return expected === undefined ? result : { ...result, expected };
      }
    }
  }

  /** After next has returned undefined. */
  get end(): ReaderEnd {
    if (this.#end === undefined) throw new Error('the stream is not at its end');
    return this.#end;
  }

  /** The amount that was read, as an answer to the sender reports it. */
  get counts(): { readonly records: number; readonly bytes: number; readonly digest: string } {
    const { records, bytes } = this.#counts;
    return { records, bytes, digest: this.mark.digest };
  }

  /** For a framed stream: how far it was found right; after begin, and whenever next has returned a group. */
  get mark(): Mark {
    const { position, digest } = this.#native.state();
    return { bytes: position, digest: Buffer.from(digest).toString('hex') };
  }

  /** Ends a wait for input. */
  cancel(): void {
    this.#native.cancel();
    this.#lz4?.cancel();
  }

  async close(): Promise<void> {
    await this.#lz4?.close();
  }

  /** From here on the input is compressed. */
  #decompress(): void {
    this.#lz4 = new Lz4Input(this.#fd);
    this.#lz4.start(this.#native.switchTo(this.#lz4.readFd), this.name);
  }

  async #first(): Promise<'none' | 'control' | 'data'> {
    const first = await this.#call(this.#native.first());
    if (first === 'none') await this.#call(this.#inputEnded());
    return first;
  }

  /** Plain bytes also end where something was wrong with the compressed ones. */
  async #inputEnded(): Promise<void> {
    await this.#lz4?.finished();
  }

  /** Undefined: a torn tail, which ends the stream. */
  async #nextResult(slab: Slab): Promise<ReadResult | undefined> {
    let fault: LvmsyncError;
    try {
      const result = await this.#call(this.#native.next(slab));
      if (result.stop !== 'badGroup') return result;
      fault = this.#faults.corrupt(result.reason, {
        hint: 'Neither that group nor anything after it was written.',
      });
    } catch (error) {
      if (!isDamage(error) || this.#hello?.kind !== 'snapback') throw error;
      fault = error;
    }
    if (this.#hello?.kind !== 'snapback') throw fault;
    await this.#requireTornTail(fault);
    this.#finish({ tornTail: fault });
    return undefined;
  }

  /**
   * A group that was never made durable was never used either: what it would have covered was not
   * overwritten. Any later mark that says otherwise makes it damage.
   */
  async #requireTornTail(fault: LvmsyncError): Promise<void> {
    const { groupStart } = this.#native.state();
    const refuse = (why: string, context: ErrorContext = {}): never => {
      const message = `${fault.message}; ${why}`;
      throw new LvmsyncError('streamCorrupt', message, { ...context, cause: fault });
    };
    if (this.#counts.groups === 0 && !this.#mayBeUnused) {
      refuse('its first group is damaged or incomplete, so nothing of it can be applied', {
        // Nobody has looked at later groups.
        hint: 'If the run that made it was interrupted, it overwrote nothing, and nothing needs to be undone. If the file was copied, copy it again. Keep it: later groups may be whole.',
      });
    }
    if (this.#lz4 !== undefined || !fstatSync(this.#fd).isFile()) {
      refuse(
        'only an uncompressed file allows a check whether this is the harmless end of an interrupted run',
      );
    }
    const scan = await this.#call(native.scanMarks(this.#fd, groupStart, this.#tag()));
    const number = this.#counts.groups;
    if (scan.endSeen || scan.highestDurable >= number) {
      refuse('later parts of the file show that this group was used: the file is damaged');
    }
  }

  async #takeFrame({ frame }: ReadResult): Promise<void> {
    if (frame === undefined || frame.type >= FIRST_OPTIONAL_TYPE) return;
    this.#requireVersion(frame);
    if (frame.type === FRAME.compressed && this.#mayCompress()) return this.#decompress();
    if (frame.type === FRAME.expect && comparisonIn(this.#hello?.attributes ?? {}) !== undefined) {
      this.#expected = frame.payload;
      return;
    }
    if (frame.type === FRAME.abort) throw this.#faults.aborted(decodeAbort(frame.payload));
    if (frame.type !== FRAME.end)
      throw this.#faults.corrupt(`a frame of unknown type ${frame.type}`);
    const end = decodeEnd(frame.payload);
    const { digest } = this.#native.state();
    const { groups, records, bytes } = this.#counts;
    const agrees =
      Buffer.compare(end.streamTag, this.#tag()) === 0 &&
      end.groups === groups &&
      end.records === records &&
      end.bytes === bytes &&
      Buffer.compare(end.digest, digest) === 0;
    if (!agrees) throw this.#faults.corrupt('its end mark does not match the data before it');
    await this.#requireEndOfInput();
    this.#finish({ sourceChanged: end.sourceChanged });
  }

  /** The tag of the stream that its frames belong to. */
  #tag(): Uint8Array {
    return this.#hello?.streamId.subarray(0, STREAM_TAG_SIZE) ?? new Uint8Array();
  }

  /** Only a sender that a receiver has asked for it changes over, once. */
  #mayCompress(): boolean {
    return this.#hello?.kind === 'wire' && this.#lz4 === undefined;
  }

  #requireVersion({ type, version }: NativeFrame): void {
    if (version === FRAME_VERSION) return;
    throw this.#faults.corrupt(
      `a frame of type ${type} has version ${version}, which this lvmsync does not know`,
    );
  }

  async #requireEndOfInput(): Promise<void> {
    const { kind, attributes } = this.#hello ?? {};
    if (kind === 'wire' && attributes?.inputEnd === OPEN_END) return;
    const first = await this.#first();
    if (first !== 'none') throw this.#faults.corrupt('there is data after its end mark');
  }

  #finishWithoutEnd(): void {
    const kind = this.#hello?.kind;
    if (kind === 'wire' || kind === 'file') throw this.#faults.cut('before its end mark');
    // Every group of a snapback was durable before it was used: it undoes all that its run did.
    const tornTail = this.#faults.of('streamTruncated', 'it has no end mark');
    this.#finish(kind === undefined ? {} : { tornTail });
  }

  #finish(facts: Partial<ReaderEnd>): void {
    const droppedBytes = this.#droppedBytes;
    this.#end = { droppedBytes, tornTail: undefined, sourceChanged: false, ...facts };
  }

  async #call<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (!isNativeError(error)) throw error;
      if (error.code === 'UNEXPECTED_END') await this.#lz4?.finished();
      throw this.#faults.translate(error);
    }
  }
}
