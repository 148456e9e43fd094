/** What is run on the other host, as words that its shell will take for what they are. Pure. */

import { formatKeepRule } from './chain-keep.js';
import type { SetPlace } from './control-frame.js';
import type { SendRequest, SnapbackRequest } from './options.js';
import { quotePath, quoteWord } from './words.js';

/** For the default ssh: nothing of ours is lent to the other host, and no terminal is in the way. */
const DEFAULT_SSH_OPTIONS = ['-a', '-x', '-T'];
/** Each stream has a connection of its own, whatever the user's configuration shares. */
const UNSHARED = ['-S', 'none'];

/**
 * The receiver's arguments as the Ruby lvmsync writes them, then what only this program understands, and
 * only if it was asked for.
 */
export function receiverArguments(request: SendRequest): string[] {
  const { snapback, chain, verbosity, force, allowSmaller, destination } = request;
  const words = ['--apply', '-'];
  if (snapback !== undefined) {
    words.push('--snapback', snapback.path);
    if (snapback.overwrite) words.push('--snapback-overwrite');
  }
  if (chain !== undefined) {
    words.push('--chain', chain.directory, ...(chain.init ? ['--init'] : []));
    words.push(...chain.keep.flatMap((rule) => ['--keep', formatKeepRule(rule)]));
  }
  if (verbosity === 'quiet') words.push('--quiet');
  if (verbosity === 'verbose' || verbosity === 'debug') words.push('--verbose');
  if (verbosity === 'debug') words.push('--debug');
  if (force) words.push('--force');
  if (allowSmaller) words.push('--allow-smaller');
  // A path may begin with a dash; the original's parser knows "--" as ours does.
  if (destination.path.startsWith('-')) words.push('--');
  return [...words, destination.path];
}

/**
 * What follows the host: the program there and its arguments. Throws (usage) for a word that no quoting
 * carries through every shell.
 */
export function receiverWords(
  request: SendRequest,
  words: readonly string[] = receiverArguments(request),
): string[] {
  const { sudo, program } = request.remote;
  return [...(sudo ? ['sudo', '-n'] : []), program, ...words].map(quotePath);
}

/** The whole argument vector: the program that stands for ssh, the host, and the words above. */
export function transportArgv(
  request: SendRequest,
  host: string,
  words: readonly string[] = receiverArguments(request),
): string[] {
  const { rsh, rshGiven, streams } = request.remote;
  const unshared = streams > 1 ? UNSHARED : [];
  const options = rshGiven ? [] : [...DEFAULT_SSH_OPTIONS, ...unshared];
  return [...rsh, ...options, host, ...receiverWords(request, words)];
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
