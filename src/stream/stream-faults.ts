/** The errors for a change stream that cannot be read, or not be believed. */

import { fstatSync } from 'node:fs';
import { type ErrorContext, type ExitName, LvmsyncError } from '../base/errors.js';
import { escapeText } from '../base/text.js';
import { isNativeError, type NativeError } from '../host/native.js';
import type { Abort } from './control-frame.js';

export class StreamFaults {
  readonly #name: string;
  readonly #stream: StreamState;

  /** `name`: as messages call the stream. */
  constructor(name: string, stream: StreamState) {
    this.#name = name;
    this.#stream = stream;
  }

  /** The error for a failed call of the addon; a cancelled one stays as it is. */
  translate(error: NativeError): unknown {
    if (error.code === 'CANCELLED') return error;
    if (error.code === 'UNEXPECTED_END') return this.cut(error.detail, error);
    if (error.code === 'CORRUPT') return this.#damaged(error);
    const what = `read error at byte ${error.offset} (${error.code}: ${error.message})`;
    return this.of('streamTruncated', what, { cause: error });
  }

  #damaged(error: NativeError): LvmsyncError {
    const what = `${error.detail} at byte ${error.offset}`;
    if (this.#stream.isFramed()) return this.corrupt(what, { cause: error });
    return this.corrupt(`${what}: it looks desynchronised`, {
      hint: 'The Ruby lvmsync sends such a stream if the size of the source is not a multiple of its chunk size. --force applies it anyway.',
      cause: error,
    });
  }

  cut(where: string, cause?: unknown): LvmsyncError {
    const position = this.#stream.position();
    return this.of('streamTruncated', `it is cut off ${where} (byte ${position})`, { cause });
  }

  aborted({ exitStatus, message }: Abort): LvmsyncError {
    const code = exitStatus === 10 ? 'sourceUnfit' : 'sourceRead';
    return this.of(code, `the sender gave up: ${escapeText(message)}`);
  }

  corrupt(what: string, context: ErrorContext = {}): LvmsyncError {
    return this.of('streamCorrupt', what, context);
  }

  of(code: ExitName, what: string, context: ErrorContext = {}): LvmsyncError {
    return new LvmsyncError(code, `${this.#name}: ${what}`, context);
  }
}

export interface StreamState {
  /** Bytes that were read. */
  readonly position: () => number;
  readonly isFramed: () => boolean;
}

/** A guess at the sender of another first line. */
export function handshakeHint(text: string, fd: number): string | undefined {
  const [, version] = /^lvmsync PROTO\[(\d+)\]/.exec(text) ?? [];
  if (version !== undefined) {
    return `It has version ${version} of the protocol, but this program supports version 3.`;
  }
  if (fstatSync(fd).isFile()) return undefined;
  return 'If the stream comes through ssh, a login script on the remote host may print this: login scripts must print nothing.';
}

/** Whether the error is in the bytes of the stream, as opposed to a failure to read them. */
export function isDamage(error: unknown): error is LvmsyncError {
  return (
    error instanceof LvmsyncError &&
    isNativeError(error.cause) &&
    (error.cause.code === 'CORRUPT' || error.cause.code === 'UNEXPECTED_END')
  );
}
