/** Chooses the transport that starts this program where a destination is: on another host, or here as a process of its own. */

import { OWN_PROGRAM } from '../host/addon.js';
import type { RunContext } from '../run/context.js';
import type { OnLine, Peer } from './peer.js';
import { argsThere, argvTo, loginArgv } from './remote-command.js';
import type { RemoteOptions } from './request.js';
import { connectCommand } from './rsh.js';

/** Lines of sh that run on another host, and mean the same to every login shell. */
export interface ScriptRequest extends Pick<PeerRequest, 'remote' | 'onLine'> {
  readonly host: string;
  readonly script: string;
}

/** Runs a program there that is not ours. Throws as connect does. */
export async function connectScript(
  { host, remote, script, onLine }: ScriptRequest,
  { agentSocket }: Pick<RunContext, 'agentSocket'>,
): Promise<Peer> {
  if (remote.transport === 'rsh') {
    return connectCommand([...loginArgv(remote, host), script], onLine);
  }
  const { connectSsh2 } = await import('./ssh2.js');
  return connectSsh2({ host, args: [script], onLine, agentSocket });
}

export interface PeerRequest {
  /** `[user@]host` as for ssh; undefined: this machine. */
  readonly host: string | undefined;
  /** How another host is reached. */
  readonly remote: RemoteOptions;
  /** The arguments, not quoted. */
  readonly args: readonly string[];
  readonly onLine: OnLine;
  /** Of the stream that it will be sent, in hexadecimal. */
  readonly streamId?: string;
}

/** Throws (transport) if the built-in client cannot reach it; a command shows that by how it ends. */
export async function connect(
  { host, remote, args, onLine, streamId = '' }: PeerRequest,
  { reporter, agentSocket }: Pick<RunContext, 'reporter' | 'agentSocket'>,
): Promise<Peer> {
  if (remote.joined !== undefined) return remote.joined(onLine, streamId);
  if (host !== undefined && remote.transport === 'ssh2') {
    const { connectSsh2 } = await import('./ssh2.js');
    return connectSsh2({ host, args: argsThere(remote, args), onLine, agentSocket });
  }
  const argv = host === undefined ? [...OWN_PROGRAM, ...args] : argvTo(host, remote, args);
  reporter.verbose(`running: ${argv.join(' ')}`);
  return connectCommand(argv, onLine, host === undefined);
}
