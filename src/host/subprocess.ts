/**
 * Runs a tool to its end and hands back what it printed. Always an argv array, never a shell: no
 * character of a device or file name can become syntax.
 */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { getSystemErrorMap } from 'node:util';
import { type ExitName, LvmsyncError } from '../base/errors.js';
import { allSaid, collect, type End, endCommand, endOf } from './command-output.js';
import { supervise } from './command-supervision.js';
import { native } from './native.js';

const MIB = 1024 * 1024;
const STDOUT_LIMIT = 256 * MIB;
const STDERR_KEPT = 64 * 1024;
const DETAIL_LENGTH = 400;

/** Where LVM's tools are on every distribution; the caller's own PATH plays no part (sudo, cron). */
const TOOL_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

const DEBIAN_PACKAGES: ReadonlyMap<string, string> = new Map([
  ['lvs', 'lvm2'],
  ['vgcfgbackup', 'lvm2'],
  ['dmsetup', 'dmsetup'],
  ['thin_dump', 'thin-provisioning-tools'],
  ['ssh', 'openssh-client'],
]);

export interface CommandOptions {
  /** Exit code of the whole run if this command fails. Default: 'usage'. */
  readonly code?: ExitName;
  /** Ends the command, a shielded one with all that it started; the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Bytes of standard output above which the command is ended and the call fails. */
  readonly stdoutLimit?: number;
  /** Ctrl-C in the terminal ends this program in its own time, but must not end the command. */
  readonly shielded?: boolean;
  /** A program that the user named: it is found in the user's PATH, and gets the user's environment. */
  readonly userProgram?: boolean;
}

export interface CommandOutput {
  readonly stdout: string;
  /** At most the first 64 KiB. */
  readonly stderr: string;
}

/** The tool's name or path first, then its arguments. */
export type Argv = readonly [string, ...string[]];

export type RunCommand = (argv: Argv, options?: CommandOptions) => Promise<CommandOutput>;

export interface CommandFailure {
  readonly argv: Argv;
  readonly code?: ExitName | undefined;
  /** One phrase: what went wrong. */
  readonly reason: string;
  /** Exit status; undefined if the tool never ran or a signal ended it. */
  readonly status?: number | undefined;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly hint?: string;
  readonly cause?: unknown;
}

/** A tool that could not be started, was ended by a signal, or exited with a status other than 0. */
export class CommandError extends LvmsyncError {
  readonly argv: Argv;
  readonly status: number | undefined;
  /** Of a tool that failed in part: what it could answer. */
  readonly stdout: string;
  readonly stderr: string;

  constructor(failure: CommandFailure) {
    const { argv, code = 'usage', reason, status, stdout = '', stderr = '', hint, cause } = failure;
    const detail = stderrDetail(stderr);
    super(code, `${argv[0]}: ${reason}${detail === '' ? '' : ` (${detail})`}`, {
      ...(hint === undefined ? {} : { hint }),
      cause,
    });
    this.name = 'CommandError';
    this.argv = argv;
    this.status = status;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

/** A command whose output is read while it runs. */
export interface CommandStream {
  readonly stdout: AsyncIterable<Uint8Array>;
  /** Rejects with CommandError unless it ended with status 0. */
  readonly ended: Promise<void>;
  stop(): void;
}

/** Like runCommand, for output that is too large to keep: it waits for whoever reads it. */
export function streamCommand(argv: Argv, options: CommandOptions = {}): CommandStream {
  const { code } = options;
  const [program, ...args] = argv;
  // A pipe of ours, read in bulk: Node's own is a socket, and a tool that writes line by line would
  // wake us for each of its lines.
  const { readFd, writeFd } = native.makePipe('theirs');
  const child = spawn(program, args, {
    env: toolEnvironment(process.env),
    stdio: ['ignore', writeFd, 'pipe'],
  });
  closeSync(writeFd);
  if (child.stderr === null) throw new Error('a child without pipes');
  const supervision = supervise({ child, program, shielded: false, isSlow: true });
  const words = collect(child.stderr, { keep: STDERR_KEPT, until: allSaid(child) });
  const ended = Promise.all([endOf(child), words]).then(([end, stderr]) => {
    supervision.dismiss();
    supervision.checkEnd(end.status);
    checkEnd(argv, code, { ...end, stderr });
  });
  // Whoever reads the output learns of a failure there first.
  ended.catch(() => undefined);
  return { stdout: readAhead(readFd), ended, stop: () => child.kill() };
}

const BULK_SIZE = 512 * 1024;

/** Output of the descriptor, closed at the end; one piece is read while the other is used. */
async function* readAhead(fd: number): AsyncGenerator<Uint8Array, void> {
  const free = [new ArrayBuffer(BULK_SIZE), new ArrayBuffer(BULK_SIZE)];
  const start = (): { buffer: ArrayBuffer; count: Promise<number> } => {
    const buffer = free.pop() ?? new ArrayBuffer(BULK_SIZE);
    const count = native.readInBulk(fd, buffer);
    // It is awaited when its turn comes.
    count.catch(() => undefined);
    return { buffer, count };
  };
  let next = start();
  try {
    for (;;) {
      const { buffer, count } = next;
      const size = await count;
      if (size === 0) return;
      next = start();
      yield new Uint8Array(buffer, 0, size);
      free.push(buffer);
    }
  } finally {
    await next.count.catch(() => 0);
    closeSync(fd);
  }
}

/**
 * Runs `argv` with nothing on standard input, a fixed PATH and LC_ALL=C (unless it is the user's), and
 * waits for its end, not for that of what it leaves behind.
 * Rejects with CommandError, or with the signal's reason if that ended it.
 */
export async function runCommand(argv: Argv, options: CommandOptions = {}): Promise<CommandOutput> {
  const { code, signal, stdoutLimit = STDOUT_LIMIT, shielded = false } = options;
  signal?.throwIfAborted();
  const [program, ...args] = argv;
  const child = spawn(program, args, {
    env: options.userProgram ? userEnvironment(process.env) : toolEnvironment(process.env),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: shielded,
  });
  const stop = () => {
    endCommand(child, { hasGroup: shielded });
    // A grandchild may hold the pipes open: do not wait for it.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const until = allSaid(child);
  const onMore = () =>
    new CommandError({ argv, code, reason: `printed more than ${stdoutLimit} bytes` });
  signal?.addEventListener('abort', stop, { once: true });
  const supervision = supervise({ child, program, shielded, isSlow: false });
  try {
    const [stdout, stderr, end] = await Promise.all([
      collect(child.stdout, { keep: stdoutLimit, until, onMore }),
      collect(child.stderr, { keep: STDERR_KEPT, until }),
      endOf(child),
    ]);
    signal?.throwIfAborted();
    supervision.checkEnd(end.status);
    checkEnd(argv, code, { ...end, stdout, stderr });
    return { stdout, stderr };
  } catch (error) {
    stop();
    signal?.throwIfAborted();
    supervision.checkEnd(null);
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    supervision.dismiss();
  }
}

/** What a companion reads before the end of its input when it is no longer needed. */
export const DISMISSED = 'dismissed';

/** A process that outlives ours if need be. */
export interface Companion {
  /** The first line it prints; its end without one gives what it said on stderr. */
  readonly firstLine: Promise<string>;
  /** Tells it that it is no longer needed, and waits for its end. */
  dismiss(): Promise<void>;
}

/** Starts `argv` in a session of its own; its input ends when this process does, however that ends. */
export function startCompanion(
  argv: Argv,
  { userProgram = false }: Pick<CommandOptions, 'userProgram'> = {},
): Companion {
  const [program, ...args] = argv;
  const child = spawn(program, args, {
    env: userProgram ? userEnvironment(process.env) : toolEnvironment(process.env),
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  // It may end before it is asked to; its end is looked at, not the failed write.
  child.stdin.on('error', () => undefined);
  const ended = endOf(child);
  return {
    firstLine: firstLineOf(child),
    dismiss: async () => {
      child.stdin.end(`${DISMISSED}\n`);
      await ended;
    },
  };
}

async function firstLineOf(child: ChildProcessWithoutNullStreams): Promise<string> {
  const words = collect(child.stderr, { keep: STDERR_KEPT, until: allSaid(child) });
  let text = '';
  for await (const chunk of child.stdout) {
    text += chunk;
    if (text.includes('\n')) return text.slice(0, text.indexOf('\n'));
  }
  return stderrDetail(await words);
}

/**
 * Where LVM would write its output and its log instead, and a profile with settings of its own. LVM_SYSTEM_DIR and
 * others that say what there is to be found stay, as DM_* do.
 */
const REDIRECTING = new Set(['LVM_OUT_FD', 'LVM_ERR_FD', 'LVM_REPORT_FD', 'LVM_COMMAND_PROFILE']);

/** Everything of ours but what would change how the tool loads, is found or speaks. */
function toolEnvironment(own: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(own).filter(
    ([name]) => name !== 'NODE_OPTIONS' && !name.startsWith('LD_') && !REDIRECTING.has(name),
  );
  // A descriptor that our parent left open is not worth a line of LVM's for each tool.
  const quiet = { LVM_SUPPRESS_FD_WARNINGS: '1' };
  return { ...Object.fromEntries(kept), ...quiet, PATH: TOOL_PATH, LC_ALL: 'C' };
}

function userEnvironment({ NODE_OPTIONS: _ours, ...env }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return env;
}

function checkEnd(
  argv: Argv,
  code: ExitName | undefined,
  {
    status,
    signal,
    error,
    stdout = '',
    stderr,
  }: End & Partial<CommandOutput> & Pick<CommandOutput, 'stderr'>,
): void {
  if (error !== undefined) throw startFailure(argv, code, error);
  if (status === null) {
    throw new CommandError({ argv, code, reason: `ended by ${signal}`, stderr });
  }
  if (status !== 0) {
    throw new CommandError({ argv, code, reason: `exit status ${status}`, status, stdout, stderr });
  }
}

function startFailure(
  argv: Argv,
  code: ExitName | undefined,
  cause: NodeJS.ErrnoException,
): CommandError {
  if (cause.code !== 'ENOENT') {
    const [, text = cause.message] = getSystemErrorMap().get(cause.errno ?? 0) ?? [];
    return new CommandError({ argv, code, reason: `cannot be started: ${text}`, cause });
  }
  const [tool] = argv;
  const debianPackage = DEBIAN_PACKAGES.get(tool.slice(tool.lastIndexOf('/') + 1));
  const where = debianPackage === undefined ? '' : `; it is in the package ${debianPackage}`;
  const hint =
    debianPackage === undefined ? {} : { hint: `On Debian: apt-get install ${debianPackage}.` };
  return new CommandError({ argv, code, reason: `not found${where}`, cause, ...hint });
}

/** The tool's own words on one line: its errors, or its warnings if it printed nothing else. */
function stderrDetail(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const errors = lines.filter((line) => !/^(WARNING|TEST MODE):/.test(line));
  const text = (errors.length > 0 ? errors : lines).join('; ');
  return text.length > DETAIL_LENGTH ? `${text.slice(0, DETAIL_LENGTH)}...` : text;
}
