/** A request to a sender, and how it reaches a remote host. */

import type { ChainRequest } from '../chain/keep.js';
import type { ReadRequest, WriteRequest } from '../pipeline/request.js';
import type { Comparison } from '../stream/control-frame.js';
import type { Destination } from './destination-name.js';
import type { OnLine, Peer } from './peer.js';

/** The needs of the sender of a change stream, whatever the stream holds. */
export interface SendRequest extends WriteRequest, ReadRequest {
  /** Ranges that are known to read as zeros may be discarded at the destination instead of being written. */
  readonly discard: boolean;
  readonly destination: Destination;
  readonly remote: RemoteOptions;
  readonly chain?: ChainRequest;
  /** What differs is found by comparing hashes of both ends, on the connection of the stream. */
  readonly compare?: Comparison | undefined;
}

/** How another host is reached, and what is run there. */
export interface RemoteOptions {
  readonly transport: 'rsh' | 'ssh2';
  /** The program that stands for ssh, and its first arguments. */
  readonly rsh: readonly string[];
  /** The user chose it: its options are the user's, too. */
  readonly rshGiven: boolean;
  /** The name of lvmsync there. */
  readonly program: string;
  /** A self-contained executable here, which serves where there is no such program. */
  readonly helper?: string;
  readonly sudo: boolean;
  /** Seconds without progress after which the run is given up. */
  readonly timeoutSeconds: number | undefined;
  readonly requireAck: boolean;
  /** The most connections that share the work. */
  readonly streams: number;
  /** The receiver is there already, since its host started this run: nothing is started for the stream of that id. */
  readonly joined?: (onLine: OnLine, streamId: string) => Peer;
}
