/** `--push-helper`: lends the remote host a self-contained executable for one run. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { reasonOf } from '../base/errno.js';
import { LvmsyncError, UNTOUCHED_THERE, withContext } from '../base/errors.js';
import { quotePath, quoteWord } from '../base/shell-words.js';
import { escapeText } from '../base/text.js';
import { isNativeError, type NativeRecordWriter } from '../host/native.js';
import type { RunContext } from '../run/context.js';
import { interrupted } from '../run/interruption.js';
import { PeerSession } from './peer-session.js';
import { loginArgv } from './remote-command.js';
import type { SendRequest } from './request.js';
import { connectCommand } from './rsh.js';
import { LIMITS, noAnswer } from './stall-watch.js';

const TAG = 'lvmsync-helper ';
const PIECE = 1024 * 1024;
const WORDS_KEPT = 400;
/** A connection that does not end when it should is ended. Milliseconds. */
const LAST_PATIENCE_MS = 8000;

type HelperRequest = Pick<SendRequest, 'destination' | 'remote'>;

/**
 * Run there by sh, with what lvmsync is called, the size of the file and its SHA-256. The connection
 * stands for as long as the file is needed: however its end comes, what was made is removed.
 */
const KEEPER = [
  // A line that the login printed may not have ended.
  'echo',
  'umask 077',
  'if command -v "$1" >/dev/null 2>&1; then echo lvmsync-helper present; exit 0; fi',
  'd=$(mktemp -dt lvmsync-XXXXXXXX) || exit 1',
  `trap 'rm -rf "$d"' EXIT`,
  // dash runs no EXIT trap where a signal ends it that has no trap of its own.
  "trap 'exit 1' HUP INT TERM PIPE",
  'echo lvmsync-helper send',
  'head -c "$2" >"$d/lvmsync" || exit 1',
  '[ "$(sha256sum <"$d/lvmsync")" = "$3  -" ] || { echo lvmsync-helper damaged; exit 1; }',
  'chmod 700 "$d/lvmsync"',
  '"$d/lvmsync" --version >/dev/null || { echo lvmsync-helper unfit; exit 1; }',
  'echo "lvmsync-helper ready $d/lvmsync"',
  'cat >/dev/null',
].join('; ');

/**
 * Runs `send` with a command whose program there is on the other host: the one that it names, or the
 * file lent. Throws (usage) for a file that cannot be read, (transport) where it cannot be lent.
 */
export async function withHelper<Request extends HelperRequest>(
  command: Request,
  context: RunContext,
  send: (command: Request) => Promise<void>,
): Promise<void> {
  const { helper: path = '' } = command.remote;
  const keeper = new Keeper(command, context, await describeFile(path));
  try {
    const program = await keeper.open(path);
    await send({ ...command, remote: { ...command.remote, program } });
  } finally {
    await keeper.close();
  }
}

/** What it ends with where a command of its fails; ssh has another status for its own failures. */
const KEEPER_FAILED = 1;

/** Its words for a file that is of no use there. */
const FAULTS: Readonly<Record<string, string>> = {
  damaged: 'it did not arrive complete',
  unfit: 'it does not run there',
};

interface HelperFile {
  /** Bytes. */
  readonly size: number;
  /** SHA-256 in hex. */
  readonly hash: string;
}

/** A fifo would be read for ever. */
async function statFile(
  path: string,
): Promise<{ readonly size: number; readonly isFile: boolean }> {
  const found = await stat(path);
  return { size: found.size, isFile: found.isFile() };
}

async function describeFile(path: string): Promise<HelperFile> {
  try {
    const { size, isFile } = await statFile(path);
    if (!isFile) throw Object.assign(new Error('not a regular file'), { code: 'ENOTSUP' });
    const hash = createHash('sha256');
    for await (const piece of createReadStream(path, { highWaterMark: PIECE })) hash.update(piece);
    return { size, hash: hash.digest('hex') };
  } catch (cause) {
    const reason = reasonOf(cause);
    throw new LvmsyncError('usage', `--push-helper: ${path}: cannot be read (${reason})`, {
      hint: 'Give the self-contained executable: see docs/packages.md.',
      cause,
    });
  }
}

/** The connection that the file goes through, and whose end removes it. */
class Keeper {
  readonly #host: string;
  readonly #command: HelperRequest;
  readonly #context: RunContext;
  readonly #session: PeerSession;
  readonly #answers: string[] = [];
  #wake: (() => void) | undefined;
  #lastWords = '';
  #heard = 0;
  #writer: NativeRecordWriter | undefined;

  constructor(command: HelperRequest, context: RunContext, file: HelperFile) {
    this.#host = command.destination.host ?? '';
    this.#command = command;
    this.#context = context;
    const { program } = command.remote;
    const args = ['sh', '-c', KEEPER, 'sh'].map(quoteWord);
    args.push(quotePath(program), `${file.size}`, file.hash);
    const argv = [...loginArgv(command.remote, this.#host), ...args];
    this.#session = new PeerSession(
      connectCommand(argv, (line, stream) => this.#take(line, stream)),
    );
    void this.#session.exited.then(() => this.#wake?.());
  }

  #take(line: string, stream: 'stdout' | 'stderr'): void {
    // A login shell may print lines of its own.
    if (stream === 'stderr') this.#lastWords = escapeText(line, WORDS_KEPT);
    if (stream === 'stderr' || !line.startsWith(TAG)) return;
    this.#heard++;
    this.#answers.push(line.slice(TAG.length));
    this.#wake?.();
  }

  /** Lends the file, if there is need; returns what lvmsync is called there then. */
  async open(path: string): Promise<string> {
    const { signal, reporter } = this.#context;
    // The run itself, later, is watched by whoever sends.
    const stopWatching = this.#session.guard({
      host: this.#host,
      reporter,
      signal,
      progress: () => this.#heard + (this.#writer?.taken() ?? 0),
      limitSeconds: this.#command.remote.timeoutSeconds ?? LIMITS.hashes,
    });
    try {
      const first = await this.#next();
      if (first === 'present') return this.#command.remote.program;
      if (first !== 'send') throw this.#failure(first);
      reporter.info(`${this.#host} has no lvmsync: sending ${path} for this run`);
      await this.#write(path);
      const second = await this.#next();
      const [, program] = /^ready (\/[\w./-]+)$/.exec(second ?? '') ?? [];
      if (program === undefined) throw this.#failure(second);
      return program;
    } finally {
      stopWatching();
    }
  }

  /** The next word from there; undefined once it has ended. */
  async #next(): Promise<string | undefined> {
    while (this.#answers.length === 0 && this.#session.exit === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#answers.shift();
  }

  async #write(path: string): Promise<void> {
    const writer = this.#session.openWriter();
    this.#writer = writer;
    try {
      for await (const piece of createReadStream(path, { highWaterMark: PIECE })) {
        await writer.writeRaw(piece);
      }
    } catch (error) {
      // The output of the remote side, or its end, shows why it took no more.
      if (!isNativeError(error)) throw error;
    }
  }

  #failure(answer: string | undefined): LvmsyncError {
    const { signal } = this.#context;
    if (signal.aborted) return interrupted(signal, UNTOUCHED_THERE);
    const { exit, lateAfter } = this.#session;
    if (lateAfter !== undefined) {
      const silent = { host: this.#host, program: 'sh' } as const;
      return withContext(noAnswer(silent, lateAfter), UNTOUCHED_THERE);
    }
    const error = exit?.kind === 'failed' ? exit.error : undefined;
    const reason = FAULTS[answer ?? ''] ?? error?.message ?? 'it could not be sent';
    const said = this.#lastWords === '' ? '' : ` (${this.#lastWords})`;
    return new LvmsyncError('transport', `${this.#host}: --push-helper: ${reason}${said}`, {
      ...UNTOUCHED_THERE,
      hint: this.#isForWantOfPlace(answer)
        ? 'Set TMPDIR there to another directory, or install lvmsync there.'
        : (error?.hint ?? `Check that you can log in to ${this.#host}.`),
    });
  }

  /** It was reached, and had nowhere to put the file, or to run it. */
  #isForWantOfPlace(answer: string | undefined): boolean {
    if (FAULTS[answer ?? ''] !== undefined) return true;
    const { exit } = this.#session;
    const hasFailed = exit?.kind === 'status' && exit.status === KEEPER_FAILED;
    return hasFailed && (this.#heard > 0 || /\bmktemp: /.test(this.#lastWords));
  }

  /** The lent file is removed by then, unless the remote side no longer answers. */
  async close(): Promise<void> {
    this.#session.endSoon(LAST_PATIENCE_MS);
    await this.#session.close();
  }
}
