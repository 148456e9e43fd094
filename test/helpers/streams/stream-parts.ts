/** Change streams for tests, written by the real writer, and their records taken apart again. */

import { closeSync, openSync, readFileSync } from 'node:fs';
import type { ExtentList } from '../../../src/device/extent.js';
import { ChangeWriter, type HelloFacts } from '../../../src/stream/change-writer.js';

export interface StreamRecord {
  readonly offset: number;
  readonly data: Buffer;
}

export const CLASSIC_HANDSHAKE = Buffer.from('lvmsync PROTO[3]\n');
const HEADER_SIZE = 12;

export function recordHeader(offset: number | bigint, length: number): Buffer {
  const header = Buffer.alloc(HEADER_SIZE);
  header.writeBigUInt64BE(BigInt(offset));
  header.writeUInt32BE(length, 8);
  return header;
}

export function classicStream(records: readonly StreamRecord[]): Buffer {
  const parts = records.flatMap(({ offset, data }) => [recordHeader(offset, data.length), data]);
  return Buffer.concat([CLASSIC_HANDSHAKE, ...parts]);
}

export interface FramedStreamSpec extends Partial<HelloFacts> {
  readonly deviceSize: number;
  readonly groups: readonly (readonly StreamRecord[])[];
  /** Behind the groups; of kind wire only. */
  readonly discards?: ExtentList;
  /** Default: END. */
  readonly ending?: 'end' | 'none';
  /** END says that its source was written while it was read. */
  readonly sourceChanged?: boolean;
  readonly compress?: boolean;
}

/** Writes it to `path` and returns its bytes. The mark of each snapback group says that the one before it is durable. */
export async function framedStream(path: string, spec: FramedStreamSpec): Promise<Buffer> {
  const { groups, ending = 'end', sourceChanged = false, deviceSize } = spec;
  const { kind = 'file', sorted = false, totalBytes, attributes = {}, compress = false } = spec;
  const { place } = spec;
  const fd = openSync(path, 'w');
  try {
    const facts = { kind, deviceSize, sorted, totalBytes, attributes, ...(place && { place }) };
    const writer = await ChangeWriter.framed(fd, facts, { compress });
    for (const [number, records] of groups.entries()) {
      const payload = Buffer.concat(records.map(({ data }) => data));
      const slab = new Uint8Array(payload).buffer;
      let position = 0;
      const operations = records.flatMap(({ offset, data }) => {
        position += data.length;
        return [offset, data.length, position - data.length];
      });
      const durable = kind === 'snapback' ? number - 1 : -1;
      await writer.writeGroup(slab, Float64Array.from(operations), durable);
    }
    if (spec.discards !== undefined) await writer.writeDiscards(spec.discards);
    if (ending === 'end') await writer.end({ sourceChanged });
  } finally {
    closeSync(fd);
  }
  return readFileSync(path);
}

/** Every record with its length, the words of control frames too. */
export function recordsOf(stream: Buffer): StreamRecord[] {
  const records: StreamRecord[] = [];
  let position = stream.indexOf('\n') + 1;
  while (position < stream.length) {
    const offset = Number(stream.readBigUInt64BE(position));
    const length = stream.readUInt32BE(position + 8);
    position += HEADER_SIZE;
    records.push({ offset, data: stream.subarray(position, position + length) });
    position += length;
  }
  return records;
}

/** Without control frames. */
export function dataRecordsOf(stream: Buffer): StreamRecord[] {
  return recordsOf(stream).filter(({ data }) => data.length > 0);
}
