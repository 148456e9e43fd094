/** The streams that docs/format.md shows, made by the real writer. */

import { closeSync, openSync, readFileSync } from 'node:fs';
import { ChangeWriter, type HelloFacts } from '../../../src/stream/change-writer.js';

/** 00 01 02 ... 0f */
const STREAM_ID = Uint8Array.from({ length: 16 }, (_, index) => index);

/** A stored stream of a device of 1 MiB: sixteen bytes at 4096, and nothing else. */
export function storedExample(path: string): Promise<Buffer> {
  const facts = { kind: 'file', deviceSize: 2 ** 20, sorted: true, totalBytes: 16 } as const;
  return write(path, { ...facts, attributes: {} }, async (writer) => {
    await writeText(writer, [[4096, 'sixteen bytes :)']], -1);
    await writer.end({ sourceChanged: false });
  });
}

/** The snapback of an interrupted run: two groups, the first of which was durable before the second. */
export function snapbackExample(path: string): Promise<Buffer> {
  const attributes = { devicePath: '/dev/vg/copy' };
  const facts = { kind: 'snapback', deviceSize: 2 ** 20, sorted: false } as const;
  return write(path, { ...facts, totalBytes: undefined, attributes }, async (writer) => {
    await writeText(
      writer,
      [
        [512, 'old'],
        [0, 'older'],
      ],
      -1,
    );
    await writeText(writer, [[1024, 'oldest']], 0);
  });
}

async function write(
  path: string,
  facts: HelloFacts,
  fill: (writer: ChangeWriter) => Promise<void>,
): Promise<Buffer> {
  const fd = openSync(path, 'w');
  try {
    await fill(await ChangeWriter.framed(fd, facts, { streamId: STREAM_ID }));
  } finally {
    closeSync(fd);
  }
  return readFileSync(path);
}

async function writeText(
  writer: ChangeWriter,
  records: readonly (readonly [offset: number, text: string])[],
  durableGroup: number,
): Promise<void> {
  const slab = new ArrayBuffer(4096);
  let position = 0;
  const operations = records.flatMap(([offset, text]) => {
    const length = Buffer.from(slab).write(text, position);
    position += length;
    return [offset, length, position - length];
  });
  await writer.writeGroup(slab, Float64Array.from(operations), durableGroup);
}
