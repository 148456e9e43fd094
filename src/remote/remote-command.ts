/** The command to run on the remote host, as arguments that its shell takes as they are. Pure. */

import { quotePath } from '../base/shell-words.js';
import { formatKeepRule } from '../chain/keep.js';
import type { PriorityRequest } from '../host/priority.js';
import type { SnapbackRequest } from '../pipeline/request.js';
import type { RunRequest, Verbosity } from '../run/request.js';
import type { StreamPosition } from '../stream/control-frame.js';
import type { RemoteOptions, SendRequest } from './request.js';

/** For the default ssh: nothing of ours is lent to the remote host, and no terminal is in the way. */
const DEFAULT_SSH_OPTIONS = ['-a', '-x', '-T'];
/** Each stream has a connection of its own, whatever the user's configuration shares. */
const UNSHARED = ['-S', 'none'];

/**
 * The receiver's arguments as the Ruby lvmsync writes them, then what only this program understands, and
 * only if it was asked for.
 */
export function receiverArguments(request: SendRequest): string[] {
  const { snapback, chain, force, allowSmaller, destination } = request;
  const args = ['--apply', '-'];
  if (snapback !== undefined) {
    args.push('--snapback', snapback.path);
    if (snapback.overwrite) args.push('--snapback-overwrite');
  }
  if (chain !== undefined) {
    args.push('--chain', chain.directory, ...(chain.init ? ['--init'] : []));
    if (chain.fetched !== undefined) args.push(`--fetched=${chain.fetched}`);
    args.push(...chain.keep.flatMap((rule) => ['--keep', formatKeepRule(rule)]));
  }
  args.push(...manners(request));
  if (force) args.push('--force');
  if (allowSmaller) args.push('--allow-smaller');
  return [...args, ...pathArgs(destination.path)];
}

/** Likewise, of the process that hashes blocks there. */
export function hasherArguments(
  command: Pick<RunRequest, 'verbosity' | 'priority'> & { readonly destination: string },
): string[] {
  return ['--hash-blocks', ...manners(command), ...pathArgs(command.destination)];
}

/** How much it says, and how much of the machine it takes. */
export function manners(of: {
  readonly verbosity: Verbosity;
  readonly priority?: PriorityRequest;
}): string[] {
  const { verbosity, priority } = of;
  const args: string[] = [];
  if (verbosity === 'quiet') args.push('--quiet');
  if (verbosity === 'verbose' || verbosity === 'debug') args.push('--verbose');
  if (verbosity === 'debug') args.push('--debug');
  if (priority?.nice !== undefined) args.push(`--nice=${priority.nice}`);
  if (priority?.io !== undefined) args.push(`--ionice=${priority.io.text}`);
  return args;
}

/** A path may begin with a dash; the original's parser knows "--" as ours does. */
function pathArgs(path: string): string[] {
  return [...(path.startsWith('-') ? ['--'] : []), path];
}

/**
 * The words after the host: the program there and its arguments. Throws (usage) for a word that no quoting
 * carries through every shell.
 */
export function argsThere(
  { sudo, program }: Pick<RemoteOptions, 'sudo' | 'program'>,
  args: readonly string[],
): string[] {
  return [...(sudo ? ['sudo', '-n'] : []), program, ...args].map(quotePath);
}

/** The whole argument vector: the program that stands for ssh, the host, and the arguments above. */
export function argvTo(host: string, remote: RemoteOptions, args: readonly string[]): string[] {
  return [...loginArgv(remote, host), ...argsThere(remote, args)];
}

/** The command that runs, on the host, the arguments that follow it. */
export function loginArgv(remote: RemoteOptions, host: string): string[] {
  const { rsh, rshGiven, streams } = remote;
  const unshared = streams > 1 ? UNSHARED : [];
  const options = rshGiven ? [] : [...DEFAULT_SSH_OPTIONS, ...unshared];
  return [...rsh, ...options, host];
}

/** The request of one of several streams: it keeps a snapback of its own. A sink may be shared. */
export function snapbackOfPart(
  snapback: SnapbackRequest,
  { streamIndex, streamCount }: Pick<StreamPosition, 'streamIndex' | 'streamCount'>,
): SnapbackRequest {
  if (streamCount === 1 || snapback.path === '/dev/null') return snapback;
  return { ...snapback, path: `${snapback.path}.${streamIndex}-of-${streamCount}` };
}
