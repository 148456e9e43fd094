// Inside the guest: a TCP relay that cuts a connection after a number of bytes.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export type Direction = 'toServer' | 'toClient';

/** Passes so many bytes in one direction; the next one ends the connection, both ways. */
export interface Cut {
  readonly direction: Direction;
  readonly afterBytes: number;
}

/** What a relayed connection did. */
export interface Passage {
  readonly passed: Record<Direction, number>;
  /** Bytes were held back and the connection was cut. */
  cut: boolean;
}

export class Relay {
  /** Applies to connections made from now on; undefined: none is cut. */
  cut: Cut | undefined;
  /** Of the connection that was made last. */
  last: Passage = newPassage();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(targetPort: number) {
    this.#server = createServer((client) => {
      const server = connect(targetPort, '127.0.0.1');
      const passage = newPassage();
      this.last = passage;
      this.#pass(client, server, 'toServer', passage);
      this.#pass(server, client, 'toClient', passage);
    });
  }

  static async listen(port: number, targetPort: number): Promise<Relay> {
    const relay = new Relay(targetPort);
    relay.#server.listen(port, '127.0.0.1');
    await once(relay.#server, 'listening');
    return relay;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }

  #pass(from: Socket, to: Socket, direction: Direction, passage: Passage): void {
    const limit =
      this.cut?.direction === direction ? this.cut.afterBytes : Number.POSITIVE_INFINITY;
    this.#sockets.add(from);
    from.on('close', () => this.#sockets.delete(from));
    // The end of the other side is told by its socket; an error of this one ends both.
    from.on('error', () => to.destroy());
    from.on('end', () => to.end());
    from.on('data', (bytes: Buffer) => {
      const room = limit - passage.passed[direction];
      const kept = bytes.subarray(0, room);
      passage.passed[direction] += kept.length;
      if (!to.write(kept)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
      if (bytes.length <= room) return;
      passage.cut = true;
      from.destroy();
      to.end();
    });
  }
}

function newPassage(): Passage {
  return { passed: { toServer: 0, toClient: 0 }, cut: false };
}
