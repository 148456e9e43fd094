/**
 * The puller that started this run through ssh: its lines come on standard input, and the stream goes to standard output.
 * It is not trusted: its lines are taken one at a time, each in a limited time, and none of them is shown. Standard error
 * leads to it as well, so whatever it says must not make us print more than that pipe holds.
 */

import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { type ExitName, LvmsyncError, withContext } from '../base/errors.js';
import { LineSplitter } from '../base/lines.js';
import { isNativeError, type NativeInputStream, native } from '../host/native.js';
import { STDOUT, writeWhole } from '../host/write-fully.js';
import { interrupted } from '../run/interruption.js';
import { parseAnswer } from '../stream/answer-lines.js';
import { hashAnswerStart } from '../stream/hash-lines.js';
import type { OnLine, Peer, PeerExit } from './peer.js';

const STDIN = 0;
const INPUT_SIZE = 16 * 1024;
const NAME = 'puller';

interface Relay {
  readonly onLine: OnLine;
  readonly streamId: string;
  /** Whether a line holds hashes that were asked for, or may have been. */
  readonly isHashes: (line: string) => boolean;
}

export class Puller {
  readonly #output: number;
  readonly #input: NativeInputStream;
  readonly #signal: AbortSignal;
  readonly #splitter = new LineSplitter();
  readonly #buffer = new ArrayBuffer(INPUT_SIZE);
  #lines: string[] = [];

  /** `output`: the write end of a pipe that does not block. */
  constructor(input: number, output: number, signal: AbortSignal) {
    this.#input = new native.InputStream(input);
    this.#output = output;
    this.#signal = signal;
  }

  /** Of this process. Throws (usage) where its standard output is not a pipe: a socket cannot be closed by itself. */
  static ofProcess(signal: AbortSignal): Puller {
    if (!fstatSync(STDOUT).isFIFO()) {
      throw new LvmsyncError('usage', 'standard output is not a pipe: --serve is started by ssh', {
        hint: 'Type the cycle on the host of the copy; see "lvmsync help cycle".',
      });
    }
    // Opened anew, it does not block, and whoever else has it does not notice.
    const flags = constants.O_WRONLY | constants.O_NONBLOCK;
    const output = openSync(`/proc/self/fd/${STDOUT}`, flags);
    closeSync(STDOUT);
    // The lowest free number is that of standard output: nothing else may get it.
    openSync('/dev/null', constants.O_WRONLY);
    return new Puller(STDIN, output, signal);
  }

  /** To be called only while it waits for a line: so little fits into the pipe at once. */
  say(line: string): void {
    writeWhole(this.#output, line);
  }

  /** Its next line. Throws (transport) where it ends or takes longer than so many seconds. */
  async line(limitSeconds: number): Promise<string> {
    let isLate = false;
    const stop = (): void => this.#input.cancel();
    const timer = setTimeout(() => {
      isLate = true;
      stop();
    }, limitSeconds * 1000);
    this.#signal.addEventListener('abort', stop);
    try {
      if (this.#signal.aborted) throw interrupted(this.#signal);
      const line = await this.#next();
      if (line !== undefined) return line;
      throw withContext(ended('it ended before it asked for the stream'), {
        state: 'Nothing was sent, and no snapshot was made or removed.',
        hint: 'This command is started by ssh. To try it, type on the host of the copy: lvmsync cycle HOST:VG/LV DESTINATION --snapback DIR',
      });
    } catch (error) {
      if (!isNativeError(error)) throw error;
      if (isLate) throw ended(`no line for ${limitSeconds} s: given up`);
      throw this.#signal.aborted ? interrupted(this.#signal) : error;
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener('abort', stop);
    }
  }

  /** From here on it is the receiver of the stream of that id; `compares`: it may send hashes. To be called once. */
  join(onLine: OnLine, streamId: string, { compares }: { readonly compares: boolean }): Peer {
    let isKilled = false;
    const isHashes = (line: string): boolean => compares && hashAnswerStart(line, streamId) === 0;
    const exited = this.#relay({ onLine, streamId, isHashes }).catch((error: unknown): PeerExit => {
      if (!isNativeError(error)) throw error;
      const why = isKilled ? 'the connection was ended here' : error.message;
      return failed('transport', why);
    });
    const kill = (): void => {
      isKilled = true;
      this.#input.cancel();
    };
    return { inputFd: this.#output, heldBytes: () => 0, exited, kill };
  }

  /** Up to the result: what comes after it changes nothing. */
  async #relay({ onLine, streamId, isHashes }: Relay): Promise<PeerExit> {
    for (;;) {
      const line = await this.#next();
      if (line === undefined) return failed('transport', 'it ended before it confirmed the stream');
      if (isHashes(line)) {
        onLine(line, 'stdout');
        continue;
      }
      const answer = parseAnswer(line);
      if (answer?.streamId !== streamId) {
        return failed('streamCorrupt', 'it sent a line that does not belong to the conversation');
      }
      onLine(line, 'stdout');
      if (answer.kind !== 'busy' && answer.kind !== 'ready') return { kind: 'status', status: 0 };
    }
  }

  /** Undefined at the end. */
  async #next(): Promise<string | undefined> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      const count = await this.#input.read(this.#buffer);
      if (count === 0) return undefined;
      this.#lines = this.#splitter.push(new Uint8Array(this.#buffer, 0, count));
    }
  }
}

function failed(code: ExitName, why: string): PeerExit {
  return { kind: 'failed', error: ended(why, code), hadStarted: true };
}

function ended(why: string, code: ExitName = 'transport'): LvmsyncError {
  return new LvmsyncError(code, `${NAME}: ${why}`);
}
