/** What thin_dump and thin_delta print, for tests that need no metadata. */

import type { CommandStream } from '../../../src/host/subprocess.js';

export type Run = readonly [begin: number, data: number, length: number];

export interface DumpText {
  readonly deviceId: number;
  readonly runs: readonly Run[];
  readonly blockSectors?: number;
  readonly transaction?: number;
}

export function dumpText({
  deviceId,
  runs,
  blockSectors = 128,
  transaction = 1,
}: DumpText): string {
  const blocks = runs.reduce((sum, [, , length]) => sum + length, 0);
  const mappings = runs.map(
    ([begin, data, length]) =>
      `    <range_mapping origin_begin="${begin}" data_begin="${data}" length="${length}" time="0"/>\n`,
  );
  return `<superblock uuid="" time="1" transaction="${transaction}" data_block_size="${blockSectors}" nr_data_blocks="0">
  <device dev_id="${deviceId}" mapped_blocks="${blocks}" transaction="0" creation_time="0" snap_time="1">
${mappings.join('')}  </device>
</superblock>
`;
}

type Ending = 'end' | 'fail' | 'hang';

/** A tool that prints `text` in pieces of `size` bytes, counting how often it was stopped. */
export class FakeTool implements CommandStream {
  readonly stdout: AsyncIterable<Uint8Array>;
  readonly ended: Promise<void>;
  stops = 0;
  /** Pieces taken so far. */
  taken = 0;
  #release: () => void = () => undefined;

  /** `ending`: after the text it ends with status 0, fails, or prints nothing until stopped. */
  constructor(text: string, { size = 1 << 16, ending = 'end' as Ending } = {}) {
    this.stdout = this.#pieces(Buffer.from(text), size, ending);
    this.ended =
      ending === 'fail' ? Promise.reject(new Error('thin_dump: bad checksum')) : Promise.resolve();
    this.ended.catch(() => undefined);
  }

  stop(): void {
    this.stops++;
    this.#release();
  }

  async *#pieces(bytes: Buffer, size: number, ending: Ending): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) {
      this.taken++;
      yield bytes.subarray(at, at + size);
    }
    if (ending !== 'hang') return;
    await new Promise<void>((resolve) => {
      this.#release = resolve;
    });
    throw new Error('the stream was closed early');
  }
}
