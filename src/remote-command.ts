/** What is run on the other host, as words that its shell will take for what they are. Pure. */

import type { SetPlace } from './control-frame.js';
import type {
  HashCommand,
  PriorityRequest,
  RemoteOptions,
  SnapbackRequest,
  SyncCommand,
  Verbosity,
} from './options.js';
import { quotePath, quoteWord } from './words.js';

/** For the default ssh: nothing of ours is lent to the other host, and no terminal is in the way. */
const DEFAULT_SSH_OPTIONS = ['-a', '-x', '-T'];
/** Each stream has a connection of its own, whatever the user's configuration shares. */
const UNSHARED = ['-S', 'none'];

/**
 * The words after the host: the receiver's command line as the Ruby lvmsync writes it, then what only
 * this program understands, and only if it was asked for. Throws (usage) for a word that no quoting
 * carries through every shell.
 */
export function receiverWords(command: SyncCommand): string[] {
  const { snapback, force, allowSmaller, destination } = command;
  const words = [...programWords(command.remote), '--apply', '-'];
  if (snapback !== undefined) {
    words.push('--snapback', quotePath(snapback.path));
    if (snapback.overwrite) words.push('--snapback-overwrite');
  }
  words.push(...manners(command));
  if (force) words.push('--force');
  if (allowSmaller) words.push('--allow-smaller');
  return [...words, ...pathWords(destination.path)];
}

/** Likewise, for the process that hashes blocks there. */
export function hasherWords(
  command: Pick<HashCommand, 'verbosity' | 'priority' | 'destination'>,
  remote: RemoteOptions,
): string[] {
  const words = [...programWords(remote), '--hash-blocks', ...manners(command)];
  return [...words, ...pathWords(command.destination)];
}

function programWords({ sudo, program }: RemoteOptions): string[] {
  return [...(sudo ? ['sudo', '-n'] : []), quotePath(program)];
}

function manners(of: {
  readonly verbosity: Verbosity;
  readonly priority?: PriorityRequest;
}): string[] {
  const { verbosity, priority } = of;
  const words: string[] = [];
  if (verbosity === 'quiet') words.push('--quiet');
  if (verbosity === 'verbose' || verbosity === 'debug') words.push('--verbose');
  if (verbosity === 'debug') words.push('--debug');
  if (priority?.nice !== undefined) words.push(`--nice=${priority.nice}`);
  if (priority?.io !== undefined) words.push(`--ionice=${priority.io.text}`);
  return words;
}

/** A path may begin with a dash; the original's parser knows "--" as ours does. */
function pathWords(path: string): string[] {
  return [...(path.startsWith('-') ? ['--'] : []), quotePath(path)];
}

/** The whole argument vector: the program that stands for ssh, the host, and the words above. */
export function transportArgv(command: SyncCommand, host: string): string[] {
  return argvTo(host, command.remote, receiverWords(command));
}

/** Likewise for any words. */
export function argvTo(host: string, remote: RemoteOptions, words: readonly string[]): string[] {
  return [...loginArgv(remote, host), ...words];
}

/** What runs, on the host, the words that follow it. */
export function loginArgv(remote: RemoteOptions, host: string): string[] {
  const { rsh, rshGiven, streams } = remote;
  const unshared = streams > 1 ? UNSHARED : [];
  const options = rshGiven ? [] : [...DEFAULT_SSH_OPTIONS, ...unshared];
  return [...rsh, ...options, host];
}

/** The request of one of several streams: it keeps a snapback of its own. A sink may be shared. */
export function snapbackOfPart(
  snapback: SnapbackRequest,
  { streamIndex, streamCount }: Pick<SetPlace, 'streamIndex' | 'streamCount'>,
): SnapbackRequest {
  if (streamCount === 1 || snapback.path === '/dev/null') return snapback;
  return { ...snapback, path: `${snapback.path}.${streamIndex}-of-${streamCount}` };
}

/** What a person would type on the other host to go back. */
export function undoCommand(snapback: string, path: string): string {
  return `lvmsync --apply ${quoteWord(snapback)} ${quoteWord(path)}`;
}
