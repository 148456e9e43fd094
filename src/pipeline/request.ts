/** How data are read and written, whatever they are. */

import type { RunRequest } from '../run/request.js';

export interface SnapbackRequest {
  /** On the destination's machine. */
  readonly path: string;
  readonly overwrite: boolean;
}

export type StreamFormat = 'auto' | 'classic';

export type Compression = 'auto' | 'lz4' | 'none';

export interface WriteRequest extends RunRequest {
  readonly snapback: SnapbackRequest | undefined;
  readonly allowSmaller: boolean;
  readonly force: boolean;
}

export interface ReadRequest extends RunRequest {
  /** A source that is written while it is read makes the run fail. */
  readonly requireQuiet: boolean;
  readonly format: StreamFormat;
  readonly compression: Compression;
  /** Bytes a second. */
  readonly bytesPerSecond: number | undefined;
}
