/** What the original lvmsync writes with `--stdout`, in memory. */

export interface OriginalSenderInput {
  /** Bytes. */
  readonly chunkSize: number;
  /** Byte offsets of the changed chunks in the order of the stream (thick: exception order). */
  readonly offsets: readonly number[];
  /** The device that the data are read from. */
  readonly source: Buffer;
}

/**
 * One record per chunk. Every header promises a whole chunk, also where the source ends inside it:
 * such a stream is damaged, and the original's own receiver does not notice.
 */
export function sendAsOriginal({ chunkSize, offsets, source }: OriginalSenderInput): Buffer {
  const parts: Buffer[] = [Buffer.from('lvmsync PROTO[3]\n')];
  for (const offset of offsets) {
    const header = Buffer.alloc(12);
    header.writeBigUInt64BE(BigInt(offset));
    header.writeUInt32BE(chunkSize, 8);
    parts.push(header, source.subarray(offset, offset + chunkSize));
  }
  return Buffer.concat(parts);
}
